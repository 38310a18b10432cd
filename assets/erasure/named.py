"""Places where a name or address of an erased person was found, and what the operator says of them.

Belongs here: which are open, at which lines to look, taking out what the operator names. Does not belong here: searching (`search`), the order of steps (`steps`).

An identifier means the person, so whatever holds one is taken out and may never stay. A name is another thing: it may be a word, or stand in a record of a
relative. It is told by place and taken out, or left, only when somebody has looked at it and says so. What is said counts for places that were shown before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.erasure import artefacts, landing_store
from assets.erasure.forms import RARE
from assets.erasure.redact import LineTooLong, blocks_of_lines, open_plain
from assets.erasure.scan import CANNOT_READ, GZIP, Found, Scanner, is_packed
from assets.landing.workspace import Workspace

SHOWN, LEFT = "names_found", "names_left"
"""Facts of an erasure in the ledger: place -> kind -> matches, of those that the newest search has shown, and of those that the operator left."""

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


def not_to_be_removed(workspace: Workspace, erasure_ids: Iterable[str], places: Iterable[str]) -> list[str]:
    """Of these places, those that the newest search of no erasure has shown, or out of which nothing can be taken: tables and the control database."""
    shown = {place for erasure_id in erasure_ids for place in workspace.erasures.facts(erasure_id).get(SHOWN, {})}
    own = (f"{workspace.lake.landing.relative_to(workspace.root)}/", *_logs(workspace))
    return [place for place in places if place not in shown or not place.startswith(own)]


def remove_named(
    workspace: Workspace, erasure_id: str, scanner: Scanner, places: Collection[str], forget_runs: Callable[[frozenset[str]], object]
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
    return artefacts.clean(workspace.lake, scanner, forget_runs, only=places)


def lines_of(workspace: Workspace, scanner: Scanner, place: str) -> list[int]:
    """Lines, from 1, of a place at which a name or address stands, so that somebody can look at them; none where it has no lines.

    Of what is packed only gzip is unpacked; a file name, a table of the control database, Parquet and archives have no lines.
    """
    found: list[int] = []
    for path in _files_of(workspace, place):
        with path.open("rb") as file:
            head = file.read(4)
        compression = "gzip" if head[:2] == GZIP else None
        if compression or not is_packed(head):
            found += _lines_in(path, compression, scanner)
    return found


def _lines_in(path: Path, compression: str | None, scanner: Scanner) -> Iterator[int]:
    """Nothing where the file cannot be read to its end, or a line is longer than can be held."""
    before = 0
    try:
        with closing(open_plain(path, compression)) as file:
            for block in blocks_of_lines(file):
                yield from sorted(
                    {before + block.count(b"\n", 0, at) + 1 for needle, at in scanner.positions(block) if needle.kind in RARE}
                )
                before += block.count(b"\n")
    except (*CANNOT_READ, LineTooLong):
        return


def _files_of(workspace: Workspace, place: str) -> list[Path]:
    """Files that are told as this place: one, but for delivered files of no account."""
    lake = workspace.lake
    if not place.startswith(f"{lake.landing.relative_to(lake.root)}/"):
        return [path] if (path := lake.root / place).is_file() else []
    told = ((path, landing_store.told_path(workspace, str(path.relative_to(lake.root)))) for path in (lake.root / place).parent.rglob("*"))
    return sorted(path for path, name in told if name == place and path.is_file())


def _logs(workspace: Workspace) -> list[str]:
    lake = workspace.lake
    return [f"{folder.relative_to(lake.root)}/" for folder in (lake.control / "dbt", lake.dagster_home)]
