"""Places where a name or address of an erased person was found, and what the operator says of them.

Belongs here: which are open, taking out what the operator names. Does not belong here: searching (`search`), the order of steps (`steps`).

An identifier means the person, so whatever holds one is taken out and may never stay. A name is another thing: it may be a word, or stand in a record of a
relative. It is told by place and taken out, or left, only when somebody has looked at it and says so. What is said counts for places that were shown before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assets.erasure import artefacts, landing_store
from assets.erasure.forms import RARE
from assets.erasure.scan import Found, Scanner
from assets.landing.workspace import Workspace

SHOWN, LEFT = "names_found", "names_left"
"""Facts of an erasure in the ledger: place -> kind -> matches, of all that were shown, and of those that the operator left."""

Places = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Said:
    """What the operator says. `leave`: all that were shown stay. `remove`: places out of which they are taken."""

    leave: bool = False
    remove: tuple[str, ...] = ()


SILENT = Said()


def apart(found: Found) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """(places of identifiers, places of names and addresses)."""
    parts: list[dict[str, Counter[str]]] = []
    for of_names in (False, True):
        chosen = {place: Counter({k: n for k, n in kinds.items() if (k in RARE) == of_names}) for place, kinds in found.hits.items()}
        parts.append({place: kinds for place, kinds in chosen.items() if kinds})
    return parts[0], parts[1]


def still_open(named: Places, facts: Mapping[str, Any], *, leave: bool) -> Places:
    """Places of which nobody has said yet that they may stay, by the facts of earlier searches."""
    said: dict[str, set[str]] = {}
    for known in (facts.get(LEFT, {}), facts.get(SHOWN, {}) if leave else {}):
        for place, kinds in known.items():
            said.setdefault(place, set()).update(kinds)
    return {place: kinds for place, kinds in named.items() if not kinds.keys() <= said.get(place, set())}


def not_to_be_removed(workspace: Workspace, remove: tuple[str, ...], shown: Places) -> list[str]:
    """Of these places, those that no search has shown, or out of which nothing can be taken: tables and the control database."""
    own = [f"{workspace.lake.landing.relative_to(workspace.root)}/", *_logs(workspace)]
    return [place for place in remove if place not in shown or not place.startswith(tuple(own))]


def remove_named(
    workspace: Workspace, erasure_id: str, scanner: Scanner, places: tuple[str, ...], forget_runs: Callable[[frozenset[str]], object]
) -> Counter[str]:
    """Take names and addresses out of these places, as identifiers are: records are blanked or files destroyed, files of dbt and runs of Dagster go.

    Returns:
        What was taken of dbt and Dagster.
    """
    root, landing = workspace.root, workspace.lake.landing
    found = landing_store.search(workspace, scanner)
    found.hits = {
        path: kinds for path, kinds in found.hits.items() if landing_store.told_path(workspace, str((landing / path).relative_to(root))) in places
    }  # fmt: skip
    landing_store.destroy(workspace, erasure_id, {}, found, scanner)
    of_logs = any(place.startswith(tuple(_logs(workspace))) for place in places)
    return artefacts.clean(workspace.lake, scanner, forget_runs) if of_logs else Counter()


def _logs(workspace: Workspace) -> list[str]:
    lake = workspace.lake
    return [f"{folder.relative_to(lake.root)}/" for folder in (lake.control / "dbt", lake.dagster_home)]
