"""The allow-list: which source field may become which raw column, and by which verb.

Belongs here: reading and checking `rules/*.toml`. Does not belong here: parsing bytes (`assets/formats`), mapping people
(`vault`), hashing record numbers (`pseudonyms`).

Verbs (a rule is `column = "verb [SCOPE] path"`; `|` separates alternative paths, the first that is not null counts):

====================  ==========================================================================================
keep P                the value passes after its type check
keep_if COL=VAL P     passes where another column has this value, else null
present P             true where anything stands there, whatever it is; the value does not pass
year P, month P,      parts of a date; month and day are null where the date is partial
day P
codings P             FHIR codings as (system, code); display and text do not pass
components P          FHIR Observation components: first coding, number, unit
number P,             "<0.5" -> 0.5 and "<"; text that is no number does not pass
comparator P
answer P              as keep, but a text that says why there is no answer ("#REF!", "Do not know": `assets/formats/answers.py`) passes as null
missing A|B|...       all such cells of a row, as (field, reason); no value passes
table                 the name of the delivered table
person P              reference to a person -> `person_id` from the vault; the identifier does not pass
person_of ENTITY COL  the person of the record of ENTITY in the same delivery whose record_id stands in this row's column COL
record SCOPE P        identifier of a record -> keyed 63-bit surrogate; the identifier does not pass. `A+B`: made of several columns
aliases SCOPE P       all identifiers of a resource -> keyed surrogates
key SCOPE A+B         several columns -> one keyed surrogate, for rows without an id of their own
====================  ==========================================================================================
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from assets.privacy.demographics import FIELDS

DEMOGRAPHIC_PREFIX = "demographic_"
"""In front of a field's name in the spool."""
_RULES = Path(__file__).parent / "rules"

_SCOPED = frozenset({"record", "aliases", "key", "keep_if", "person_of"})
_PLAIN = frozenset(
    {"keep", "year", "month", "day", "codings", "components", "number", "comparator", "person", "present", "answer", "missing"}
)
SURROGATE_VERBS = frozenset({"record", "aliases", "key"})
"""Verbs whose output is a keyed hash of identifiers."""


class RuleError(ValueError):
    """A rules file does not hold; the message names file, entity and column."""


@dataclass(frozen=True)
class Rule:
    """One line of the allow-list."""

    column: str
    verb: str
    scope: str | None
    path: str


@dataclass(frozen=True)
class EntityRules:
    """The allow-list of one raw table.

    Attributes:
        rules: Column name -> rule, in file order.
        identity: Identifier system -> source path. These go to the vault only.
        demographics: Field of `assets/privacy/demographics.py` -> source path. These go to the vault only, for linkage.
    """

    rules: Mapping[str, Rule]
    identity: Mapping[str, str]
    demographics: Mapping[str, str] = field(default_factory=dict)

    @property
    def to_vault(self) -> dict[str, str]:
        """All that the parsing child reads for the vault: spool name -> source path."""
        return {**self.identity, **{DEMOGRAPHIC_PREFIX + name: path for name, path in self.demographics.items()}}


@cache
def load_rules(family: str) -> Mapping[str, EntityRules]:
    """Read `rules/<family>.toml`.

    Returns:
        Entity name -> its allow-list.

    Raises:
        RuleError: No such file, or a line whose verb is unknown or incomplete.
    """
    path = _RULES / f"{family}.toml"
    if not path.exists():
        raise RuleError(f"no privacy rules for family {family!r}: {path.name} is missing, so nothing may pass")
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    return {entity: _entity_rules(family, entity, body) for entity, body in raw.items()}


def _entity_rules(family: str, entity: str, body: Mapping[str, object]) -> EntityRules:
    identity = body.get("identity", {})
    demographics = body.get("demographics", {})
    if not isinstance(identity, dict) or not isinstance(demographics, dict):
        raise RuleError(f"{family}.toml [{entity}.identity] and [{entity}.demographics] must be tables")
    if unknown := set(demographics) - set(FIELDS):
        raise RuleError(f"{family}.toml [{entity}.demographics]: unknown field {sorted(unknown)[0]!r}. There are: {', '.join(FIELDS)}")
    lines = {column: str(text) for column, text in body.items() if column not in ("identity", "demographics")}
    rules = {column: parse_rule(f"{family}.toml [{entity}] {column}", column, text) for column, text in lines.items()}
    paths = ({name: str(path) for name, path in section.items()} for section in (identity, demographics))
    return EntityRules(rules, *paths)


def parse_rule(where: str, column: str, text: str) -> Rule:
    """Read one `verb [SCOPE] path` line; `where` opens the error message."""
    verb, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if verb == "table":
        return Rule(column, verb, None, "")
    if verb in _SCOPED:
        scope, _, path = rest.partition(" ")
        if not path.strip():
            raise RuleError(f"{where}: `{verb}` needs a scope and a path")
        return Rule(column, verb, scope, path.strip())
    if verb not in _PLAIN:
        raise RuleError(f"{where}: unknown verb {verb!r}")
    if not rest:
        raise RuleError(f"{where}: `{verb}` needs a path")
    return Rule(column, verb, None, rest)
