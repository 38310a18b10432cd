"""What is looked for of a person, where, and what counts as left.

Belongs here: identifiers, names and addresses from the vault as needles, the search of the whole lake, the rows of the control database. Does not belong
here: reading bytes (`scan`), how a name may be written (`names`), what becomes of places where one stands (`named`).

Not searched: the vault, which is sealed and forgets by itself, and the inbox, whose deliveries are refused when they land. Of the control database a
person id may stay in the audit: it keeps who read and who withdrew, and nothing leads from the number to anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets.erasure import names
from assets.erasure.forms import PERSON_ID, RARE, Needle
from assets.erasure.landing_store import says_of, told_path
from assets.erasure.scan import SHORTEST, Found, Scanner, scan_folder
from assets.landing.workspace import Workspace
from assets.privacy import erased
from assets.privacy.erased import Subject
from assets.privacy.rarity import rare_values
from assets.privacy.vault import RESIDENT

TELEPHONE = "telephone"
NOT_SEARCHED = ("vault", "inbox")
_MOST_SHOWN = 10
_SHORTEST_NUMBER = 8
_SURE_NUMBER = 10
"""A hospital's own bare number of fewer digits is looked for in its deliveries only: elsewhere a file size may be the same number."""


@dataclass(frozen=True)
class Sought:
    """What is looked for of the people of an erasure.

    Attributes:
        everything: Looks for all of it.
        values: Kind -> values looked for, each counted once, however many ways there are to write it.
        shared: Names and addresses that are not looked for, because somebody else in the vault has the same.
        too_short: Those that are not looked for, because they would be found by chance.
    """

    everything: Scanner
    values: dict[str, int]
    shared: int
    too_short: int

    @property
    def numbers(self) -> Scanner:
        """Looks for identifiers, telephones and person ids only: whatever holds one speaks of the person."""
        return self.everything.without(RARE)

    def facts(self) -> dict[str, Any]:
        """For the receipt: counts only."""
        return {
            "values": self.values, "values_too_short": self.everything.too_short, "names_shared": self.shared, "names_too_short": self.too_short,
        }  # fmt: skip


def sought_of(workspace: Workspace, ids: Sequence[int]) -> Sought:
    """Everything that the vault knows of these people and that singles them out. Of thousands of people it costs seconds: make it once."""
    needles, values = _numbers(workspace, ids)
    rare = rare_values(workspace.vault, ids)
    long = [one for one in rare.written if not names.is_short(one)]
    values += Counter(kind for kind, _ in {(names.kind_of(one), one[:2]) for one in long})
    short = {one[:2] for one in rare.written} - {one[:2] for one in long}
    values[PERSON_ID] = len(set(ids))
    scanner = _scanner([*needles, *names.needles_of(long)], ids)
    return Sought(scanner, dict(sorted(values.items())), rare.shared, len(short))


def scanner_of(workspace: Workspace, subject: Subject) -> Scanner:
    """Looks for every identifier of the person that the vault knows, and for the person ids; for no name, so that nobody else's has to be asked for."""
    return _scanner(_numbers(workspace, subject.ids)[0], subject.ids)


def _numbers(workspace: Workspace, ids: Sequence[int]) -> tuple[list[Needle], Counter[str]]:
    """Identifiers and telephones, and how many of each kind are looked for."""
    needles: list[Needle] = []
    values: Counter[str] = Counter()
    for system, site, value in erased.identifiers(workspace.vault, ids):
        text = value.rpartition("|")[2]
        needles.append(Needle(system, text, site))
        values[system] += not _is_short(text)
        if system == RESIDENT:
            needles.append(Needle(system, f"{text[:6]}-{text[6:]}", site))
    for site, phone in erased.telephones(workspace.vault, ids):
        needles += [Needle(TELEPHONE, form, site) for form in _as_written(phone)]
        values[TELEPHONE] += 1
    return needles, +values


def _scanner(needles: Sequence[Needle], ids: Sequence[int]) -> Scanner:
    looked_for = [n for n in needles if n.kind in RARE or not _is_common(n.value)]
    scanner = Scanner(looked_for, ids)
    scanner.too_short += len(needles) - len(looked_for)
    return scanner


def _as_written(phone: str) -> Iterator[str]:
    """A Korean number as the vault keeps it, with hyphens, and in international form; the area code of Seoul has two digits, others three."""
    area = 2 if phone.startswith("02") else 3
    yield phone
    yield f"{phone[:area]}-{phone[area:-4]}-{phone[-4:]}"
    yield f"82-{phone[1:area]}-{phone[area:-4]}-{phone[-4:]}"
    yield f"82{phone[1:]}"


def _is_common(value: str) -> bool:
    """A bare number of few digits, or one that is a day: found by chance in any file of figures."""
    return value.isdigit() and (len(value) < _SHORTEST_NUMBER or (len(value) == len("20260101") and value[:2] in ("19", "20")))


def _is_short(value: str) -> bool:
    return len(value) < SHORTEST or _is_common(value)


def search_all(workspace: Workspace, scanner: Scanner) -> Found:
    """Everything below the lake root, and every row of the control database. Places are told so that they name nobody (`told_path`)."""
    database = str(workspace.lake.control_database.relative_to(workspace.lake.root))

    def counts(relative: str, needle: Needle) -> bool:
        if needle.kind == PERSON_ID and relative.startswith(database):
            return False  # its rows are read one by one
        if needle.site and needle.value.isdigit() and len(needle.value) < _SURE_NUMBER and not relative.startswith("landing/"):
            return False
        return says_of(workspace, relative, needle)

    found = scan_folder(workspace.lake.root, scanner, skip=NOT_SEARCHED, counts=counts)
    hits: dict[str, Counter[str]] = {}
    for path, kinds in found.hits.items():
        place = _told(workspace, scanner, path)
        hits[place] = hits.get(place, Counter()) + kinds
    found.hits = hits
    found.unreadable = [_told(workspace, scanner, path) for path in found.unreadable]
    for table, row in workspace.erasures.all_values():
        kinds = Counter(needle.kind for needle in scanner.scan_bytes(row))
        if kinds:
            found.hits[f"control database, table {table}"] = found.hits.get(f"control database, table {table}", Counter()) + kinds
    return found


def _told(workspace: Workspace, scanner: Scanner, relative: str) -> str:
    """A place below the lake root, without a name that holds a value."""
    path = told_path(workspace, relative)
    parts = path.split("/")
    clean = next(
        (n for n, _ in enumerate(parts) if scanner.scan_bytes("/".join(parts[: n + 1]).encode("utf-8", "surrogateescape"))), len(parts)
    )
    return path if clean == len(parts) else f"{'/'.join(parts[:clean])} (in a name below)"


def residue(hits: Mapping[str, Mapping[str, int]], unreadable: Sequence[str] = ()) -> str:
    """Where something is left, for people; no value."""
    places = [f"{path} ({', '.join(f'{kind} {n}' for kind, n in sorted(kinds.items()))})" for path, kinds in sorted(hits.items())]
    places += [f"{path} (cannot be read)" for path in unreadable]
    more = len(places) - _MOST_SHOWN
    return "; ".join(places[:_MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")
