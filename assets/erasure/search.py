"""What is looked for of a person, where, and what counts as left.

Belongs here: identifiers from the vault as needles, the search of the whole lake, the rows of the control database. Does not belong here: reading
bytes (`scan`).

Not searched: the vault, which is sealed and forgets by itself, and the inbox, whose deliveries are refused when they land. Of the control database a
person id may stay in the audit: it keeps who read and who withdrew, and nothing leads from the number to anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from assets.erasure.landing_store import says_of
from assets.erasure.scan import PERSON_ID, Found, Needle, Scanner, scan_folder
from assets.landing.workspace import Workspace
from assets.privacy import erased
from assets.privacy.erased import Subject
from assets.privacy.vault import RESIDENT

TELEPHONE = "telephone"
NOT_SEARCHED = ("vault", "inbox")
_MOST_SHOWN = 10
_SHORTEST_NUMBER = 8
_SURE_NUMBER = 10
"""A hospital's own bare number of fewer digits is looked for in its deliveries only: elsewhere a file size may be the same number."""


def scanner_of(workspace: Workspace, subject: Subject) -> Scanner:
    """Looks for every identifier of the person that the vault knows, and for the person ids. Of thousands of people it costs seconds: make it once."""
    needles = []
    for system, site, value in erased.identifiers(workspace.vault, subject.ids):
        text = value.rpartition("|")[2]
        needles.append(Needle(system, text, site))
        if system == RESIDENT:
            needles.append(Needle(system, f"{text[:6]}-{text[6:]}", site))
    for site, phone in erased.telephones(workspace.vault, subject.ids):
        needles += [Needle(TELEPHONE, form, site) for form in _as_written(phone)]
    looked_for = [n for n in needles if not _is_common(n.value)]
    scanner = Scanner(looked_for, subject.ids)
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


def search_all(workspace: Workspace, scanner: Scanner) -> Found:
    """Everything below the lake root, and every row of the control database."""
    database = str(workspace.lake.control_database.relative_to(workspace.lake.root))

    def counts(relative: str, needle: Needle) -> bool:
        if needle.kind == PERSON_ID and relative.startswith(database):
            return False  # its rows are read one by one
        if needle.site and needle.value.isdigit() and len(needle.value) < _SURE_NUMBER and not relative.startswith("landing/"):
            return False
        return says_of(workspace, relative, needle)

    found = scan_folder(workspace.lake.root, scanner, skip=NOT_SEARCHED, counts=counts)
    for table, row in workspace.erasures.all_values():
        kinds = Counter(needle.kind for needle in scanner.scan_bytes(row))
        if kinds:
            found.hits[f"control database, table {table}"] = found.hits.get(f"control database, table {table}", Counter()) + kinds
    return found


def residue(found: Found) -> str:
    """Where something is left, for people; no value."""
    places = [f"{path} ({', '.join(f'{kind} {n}' for kind, n in sorted(kinds.items()))})" for path, kinds in sorted(found.hits.items())]
    places += [f"{path} (cannot be read)" for path in found.unreadable]
    more = len(places) - _MOST_SHOWN
    return "; ".join(places[:_MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")
