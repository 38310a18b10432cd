"""What a raw table promises, read from the data files beside this module.

Belongs here: the shape of a contract and its translation to Arrow. Does not belong here: where a value comes from
(`assets/privacy/rules`), how bytes are parsed (`assets/formats`), any row of data.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pyarrow as pa

_HERE = Path(__file__).parent

_CODING = pa.struct([("system", pa.string()), ("code", pa.string())])
_COMPONENT = pa.struct([("system", pa.string()), ("code", pa.string()), ("value_number", pa.float64()), ("value_unit", pa.string())])

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "ids": pa.list_(pa.int64()),
    "codings": pa.list_(_CODING),
    "components": pa.list_(_COMPONENT),
}
"""Contract type -> Arrow type. Only types that every Delta reader knows (DESIGN section 3)."""

LINEAGE: tuple[tuple[str, pa.DataType], ...] = (
    ("site", pa.string()),
    ("person_bucket", pa.int32()),
    ("_delivery_id", pa.string()),
    ("_sequence", pa.int64()),
    ("_source_file", pa.string()),
    ("_row_number", pa.int64()),
    ("_landed_at", pa.timestamp("us", tz="UTC")),
)
"""Columns that landing adds to every raw table, in this order, after the contract's own."""


NOBODY = -1
"""`person_bucket` of rows that name no person: no build rebuilds it, but a correction may move a record there and back."""

ERASED = -2
"""Bucket that the vault gives a person who was erased. No row has it: what comes of them later is quarantined."""


class ContractError(ValueError):
    """A contract file does not hold; the message names file, entity and column."""


@dataclass(frozen=True)
class Column:
    """One promised column.

    Attributes:
        name: Column name, unit last where there is one.
        type: Key of `ARROW_TYPES`.
        required: Never null in a landed row.
        description: Meaning, unit and source.
    """

    name: str
    type: str
    required: bool
    description: str

    @property
    def arrow_type(self) -> pa.DataType:
        """Arrow type of the landed column."""
        return ARROW_TYPES[self.type]


@dataclass(frozen=True)
class Entity:
    """One raw table: `raw/<family>/<name>`.

    Attributes:
        family: Wire family, for example `fhir`.
        name: Singular name of the record kind.
        grain: What one row is.
        person_level: Rows belong to a person, so reading needs consent.
        columns: The promised columns, in order.
        everybody: Of a table that holds no people: SQL that is true for rows on which any person's models may depend. None: no row is.
        lands_after_withdrawal: Rows about somebody who has withdrawn land all the same: what they consent to, and samples of theirs, which
            have to be destroyed.
        withdrawn_by: Column -> words, in lower case, by any of which a row says that its person withdraws; what it comes to is judged by the models of consent.
    """

    family: str
    name: str
    grain: str
    person_level: bool
    columns: tuple[Column, ...] = field(repr=False)
    everybody: str | None = None
    lands_after_withdrawal: bool = False
    withdrawn_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """Delta path below `tables/` and Dagster asset key, `raw/<family>/<name>`."""
        return f"raw/{self.family}/{self.name}"

    def raw_schema(self) -> pa.Schema:
        """Arrow schema of the Delta table: contract columns, then lineage.

        `person_bucket` is only there for person-level entities; it is `NOBODY` where no person is named.
        """
        own = [pa.field(c.name, c.arrow_type, nullable=not c.required) for c in self.columns]
        lineage = [pa.field(n, t) for n, t in LINEAGE if self.person_level or n != "person_bucket"]
        return pa.schema(own + lineage)


@dataclass(frozen=True)
class Contract:
    """All raw tables of one wire family."""

    family: str
    entities: Mapping[str, Entity]


def families() -> tuple[str, ...]:
    """Names of all wire families that have a contract file, sorted."""
    return tuple(sorted(p.stem for p in _HERE.glob("*.toml")))


@cache
def load_contract(family: str) -> Contract:
    """Read `<family>.toml`.

    Raises:
        ContractError: No such family, an unknown type, or a column line without `type | description`.
    """
    path = _HERE / f"{family}.toml"
    if not path.exists():
        raise ContractError(f"no contract for family {family!r}; there are: {', '.join(families())}")
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    entities = {name: _entity(family, name, body) for name, body in raw.items()}
    return Contract(family, entities)


def all_entities() -> tuple[Entity, ...]:
    """Every raw table of every family, sorted by key."""
    found = [e for f in families() for e in load_contract(f).entities.values()]
    return tuple(sorted(found, key=lambda e: e.key))


def _entity(family: str, name: str, body: Mapping[str, object]) -> Entity:
    columns = body.get("columns")
    if not isinstance(columns, dict) or "grain" not in body or "person_level" not in body:
        raise ContractError(f"{family}.toml [{name}]: needs grain, person_level and columns")
    parsed = tuple(_column(family, name, column, str(text)) for column, text in columns.items())
    everybody = str(body["everybody"]) if "everybody" in body else None
    if everybody is not None and body["person_level"]:
        raise ContractError(f"{family}.toml [{name}]: `everybody` is for tables that hold no people; rows of people touch their own person")
    lands = bool(body.get("lands_after_withdrawal", False))
    if lands and not body["person_level"]:
        raise ContractError(
            f"{family}.toml [{name}]: `lands_after_withdrawal` is for tables of people; what names nobody is about nobody who withdrew"
        )
    return Entity(
        family, name, str(body["grain"]), bool(body["person_level"]), parsed, everybody, lands, _withdrawn_by(family, name, body, parsed)
    )


def _withdrawn_by(family: str, entity: str, body: Mapping[str, object], columns: tuple[Column, ...]) -> dict[str, tuple[str, ...]]:
    said = body.get("withdrawn_by", {})
    texts = {c.name for c in columns if c.type == "string"}
    if not isinstance(said, dict) or not texts.issuperset(said) or not (body["person_level"] or not said):
        raise ContractError(f"{family}.toml [{entity}]: `withdrawn_by` names text columns of a table of people, each with its words")
    return {column: tuple(words) for column, words in said.items()}


def _column(family: str, entity: str, name: str, text: str) -> Column:
    kind, bar, description = (part.strip() for part in text.partition("|"))
    if not bar or not description:
        raise ContractError(f"{family}.toml [{entity}] {name}: write `type | description`")
    required = kind.endswith("!")
    kind = kind.removesuffix("!")
    if kind not in ARROW_TYPES:
        raise ContractError(f"{family}.toml [{entity}] {name}: unknown type {kind!r}; known: {', '.join(ARROW_TYPES)}")
    return Column(name, kind, required, description)
