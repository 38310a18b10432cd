"""The reviewed exceptions of the consent check: models that read people who withdrew, so that what they left can be destroyed.

Belongs here: which models, what each may read and show, and the rules that hold them to it. Does not belong here: the rules for all other
models (`consent_check`).

A biobank has to destroy the specimens of people who withdrew, so somebody must be told which. An exception is no door for research because
it is held to all of this: it reads only the raw tables named here, only through `withdrawn_rows` (people who have agreed to nothing of that
scope), shows only the columns named here, is private to its own dbt group and not published; and only models named here may read it. What
leaves the group is counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from assets.dbt_manifest import Node

GROUP = "destruction"
DOOR = "withdrawn_rows"
WITHDRAWAL = "consent_withdrawal"

_EVENT = frozenset({"event_id", "event_kind", "specimen_id", "aliquot_id", "occurred_at", "holder_code", "is_whole"})
_SELECT = re.compile(r"\bselect\b(.*)", re.IGNORECASE)
_LINEAGE = frozenset({"person_id", "person_bucket", "site"})


@dataclass(frozen=True)
class Reviewed:
    """What one exception may do.

    Attributes:
        columns: Columns it may show; none of them tells of a person, but for the surrogate by which the group joins its own models.
        reads: Raw tables it may read, in staging only.
        is_open: Others may read it: then it holds counts and no row about a sample.
    """

    columns: frozenset[str]
    reads: frozenset[str] = field(default_factory=frozenset)
    is_open: bool = False


EXCEPTIONS: Mapping[str, Reviewed] = {
    "stg_lims__withdrawn_samples": Reviewed(
        _LINEAGE | {"sample_id", "sample_kind", "custodian_code", "made_date"}, frozenset({"raw/lims/specimen", "raw/lims/aliquot"})
    ),
    "stg_lims__withdrawn_events": Reviewed(_LINEAGE | _EVENT, frozenset({"raw/lims/custody", "raw/lims/disposal"})),
    "gov_specimen_destruction": Reviewed(
        frozenset({
            "sample_id", "sample_kind", "site", "withdrawn_date", "custodian_code", "is_destruction_confirmed", "destroyed_date",
            "is_made_after_withdrawal", "person_bucket",
        })
    ),
    "gov_specimen_withdrawals": Reviewed(frozenset({"site", "status", "sample_count"}), is_open=True),
}  # fmt: skip
"""Model -> what was reviewed. A line added here, or a column, is a decision of the governance board; the test of this module names it."""


def ways_round(node: Node, sources: set[str], calls: set[tuple[str, str]]) -> Iterator[str]:
    """How an exception does more than was reviewed.

    Args:
        node: The model, whose name is in `EXCEPTIONS`.
        sources: Raw tables of people it depends on.
        calls: (macro, raw table) as its code calls them.
    """
    reviewed = EXCEPTIONS[node["name"]]
    config = node.get("config", {})
    if config.get("group") != GROUP:
        yield f"is a reviewed exception outside the group {GROUP}"
    if not reviewed.is_open and config.get("access") != "private":
        yield "is a reviewed exception that others may read: its access is not private"
    if not reviewed.is_open and config.get("materialized") != "view" and config.get("meta", {}).get("published") is not False:
        yield "is a reviewed exception and would be published: it does not say meta.published false"
    if more := sorted((sources | {key for _, key in calls}) - reviewed.reads):
        yield f"reads {', '.join(more)}, which was not reviewed"
    if more := sorted(f"{macro}() for {key}" for macro, key in calls if macro != DOOR):
        yield f"is a reviewed exception and reads with {', '.join(more)}, not with {DOOR}()"
    if more := sorted(_shown(node) - reviewed.columns):
        yield f"shows {', '.join(more)}, which was not reviewed"


def readers_round(node: Node, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Exceptions that a model reads without being one itself. Open ones hold counts; anybody may read them."""
    nodes = (manifest["nodes"].get(i) for i in node["depends_on"]["nodes"])
    for name in sorted(n["name"] for n in nodes if n is not None):
        if name in EXCEPTIONS and not EXCEPTIONS[name].is_open:
            yield f"reads {name}, which only the reviewed exceptions may"


def _shown(node: Node) -> set[str]:
    """Columns of a model: those it declares (an enforced contract fixes them), else those at the end of its select lists."""
    declared = set(node.get("columns", {}))
    return declared or set(_selected(node.get("raw_code") or ""))


def _selected(code: str) -> Iterator[str]:
    """Names in the select lists of a staging model, which are one to a line; whatever stands on the line of a `select` counts as one."""
    inside = False
    for line in code.splitlines():
        text = line.strip().rstrip(",")
        if (found := _SELECT.search(text)) is not None:
            inside = True
            if rest := found.group(1).strip():
                yield rest
        elif text.lower().startswith("from "):
            inside = False
        elif inside and text:
            yield text.rsplit(" ", 1)[-1].rsplit(".", 1)[-1]
