"""The first row of each table file, and elements that no rule reads, left beside the spool: so that what a sender adds or drops is seen.

Belongs here: what of a name may be told, the note's form. Does not belong here: comparing deliveries (`assets/ledger/headers`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path

_MOST_CHARACTERS = 64
_MAY_BE_DATA = re.compile(r"\d{6}|@|[\x00-\x1f\x7f-\x9f]")
"""A header with a long number, an address or control characters may be a value of somebody's, so it is named by a hash."""

_PREFIX = "_header_"
_ELEMENTS = "_elements_"
_MOST_ELEMENTS = 200
"""Names that one type may add to a note; FHIR R4 resources have up to 60 elements."""


def note_header(spool: Path, file: int, table: str, names: Sequence[str]) -> None:
    """Leave the header of one file for landing to read. Writing it again, after a crash of the parser, is no matter."""
    (spool / f"{_PREFIX}{file}.json").write_text(json.dumps({"table": table, "names": [tellable(n) for n in names]}), encoding="utf-8")


def noted_headers(spool: Path, *, without: Collection[int] = ()) -> dict[str, list[str]]:
    """Delivered table -> its column names, each once and sorted.

    Args:
        spool: Folder with one folder a wire format.
        without: Files of which nothing landed.
    """
    found: dict[str, set[str]] = {}
    for path in spool.glob(f"*/{_PREFIX}*.json"):
        if int(path.stem.removeprefix(_PREFIX)) not in without:
            note = json.loads(path.read_text(encoding="utf-8"))
            found.setdefault(note["table"], set()).update(note["names"])
    return {table: sorted(names) for table, names in sorted(found.items())}


def note_elements(spool: Path, kind: str, names: Collection[str]) -> None:
    """Leave the elements of a resource type that came and that no rule reads. A parser started again adds to what was noted before."""
    path = spool / f"{_ELEMENTS}{kind}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    told = sorted({*before, *map(tellable, names)})
    path.write_text(json.dumps(told[:_MOST_ELEMENTS]), encoding="utf-8")


def noted_elements(spool: Path) -> dict[str, list[str]]:
    """Resource type -> names of its elements that no rule reads, sorted; of every wire format of a delivery."""
    found: dict[str, set[str]] = {}
    for path in spool.glob(f"*/{_ELEMENTS}*.json"):
        found.setdefault(path.stem.removeprefix(_ELEMENTS), set()).update(json.loads(path.read_text(encoding="utf-8")))
    return {kind: sorted(names) for kind, names in sorted(found.items())}


def tellable(name: str) -> str:
    """A column name as ledger and Dagster may show it: whole, or a hash where it is long or may hold a value."""
    if name and len(name) <= _MOST_CHARACTERS and not _MAY_BE_DATA.search(name):
        return name
    return f"(column {hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]})"
