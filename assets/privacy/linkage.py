"""Who without a common number is one person all the same: new descriptions are compared, pairs merged or put before a data steward.

Belongs here: what is compared, the rules about numbers that no likeness overrides, storing the outcome. Does not belong here: likeness
(`linkage_model`, `linkage_process`), what a merge is (`merges`).

Only descriptions that are new or changed, and those that share a block with one, are opened and compared: the cost follows the change. The vault
is written in one transaction at the end, so a kill leaves everything waiting.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from assets.privacy.demographic_store import Described, count_comparable, described, has_candidates, mark_compared, waiting
from assets.privacy.hangul import jamo, sound
from assets.privacy.keyring import Keyring
from assets.privacy.likeness import apply_likeness
from assets.privacy.merges import BY_LINKAGE, merge_people, rejected_pairs
from assets.privacy.review import Proposal, count_open, propose
from assets.privacy.vault import LOCAL, RESIDENT, Vault
from assets.privacy.vault_schema import IDENTIFIER, PERSON, read_rows

_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
_BATCH = 50_000
_MOST = 0.2
"""Share of waiting rows from which reading all is cheaper than looking candidates up."""
FOLDER_PREFIX = "linkage-"


class LinkageFailed(RuntimeError):
    """The comparing process failed; nothing was written. Names the kind of error only."""


@dataclass
class Linked:
    """What one linkage did. Counts.

    Attributes:
        descriptions: New or changed, as far as they were waiting, of sites that may be linked by likeness.
        left_out: New or changed, of sites that may not: they are not compared.
        sites_left_out: These sites, whether or not they brought anything.
        withdrawn: Pairs taken out of the queue because a site may not be linked by likeness any more.
        compared: Pairs compared.
        merged: People who were found to be another.
        proposed: Pairs put before a data steward.
        kept_apart: Pairs that a rule keeps apart though they are alike: two resident numbers, or a steward said so.
        open_reviews: Pairs that wait for a steward now.
    """

    descriptions: int = 0
    compared: int = 0
    merged: int = 0
    proposed: int = 0
    kept_apart: int = 0
    open_reviews: int = 0
    left_out: int = 0
    withdrawn: int = 0
    sites_left_out: frozenset[str] = frozenset()
    reasons: Counter[str] = field(default_factory=Counter)


def link_people(vault: Vault, folder: Path, may_link: Mapping[str, bool] | None = None) -> Linked:
    """Compare what waits and carry out what follows.

    Args:
        vault: The open vault. The caller holds the lake.
        folder: The vault's own, where the comparing process may put for a moment what memory cannot hold.
        may_link: Site -> may it be linked by likeness? A site that is not named stays as it was; at first it may.

    Raises:
        LinkageFailed: The process died. Nothing was written; the next call tries again.
    """
    _sweep(folder)
    with vault.transaction() as (connection, keys):
        out, withdrawn = apply_likeness(connection, may_link or {})
        fresh = waiting(connection)
        left_out = sum(n for site, n in fresh.items() if site in out)
        done = Linked(descriptions=fresh.total() - left_out, left_out=left_out, withdrawn=withdrawn, sites_left_out=out)
        if done.descriptions and has_candidates(connection, out):
            pairs, done.compared = _compare(connection, keys, folder, done.descriptions, out)
            _carry_out(connection, pairs, done)
        if fresh:
            mark_compared(connection)
        done.open_reviews = count_open(connection)
    return done


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"{FOLDER_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _compare(
    connection: sa.Connection, keys: Keyring, folder: Path, fresh: int, left_out: Collection[str]
) -> tuple[list[dict[str, Any]], int]:
    everybody = fresh > _MOST * count_comparable(connection, left_out)
    rows = described(connection, keys, everybody=everybody, left_out=left_out)
    scratch = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=folder))  # mode 700
    try:
        pairs = run_process(_batches(connection, rows), scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return pairs.to_pylist(), int((pairs.schema.metadata or {}).get(b"compared", b"0"))


def run_process(batches: Iterable[pa.RecordBatch], scratch: Path) -> pa.Table:
    """Pairs that a process of its own finds. It gets nothing of this one's environment.

    Raises:
        LinkageFailed: It ended with an error.
    """
    from assets.privacy.linkage_process import INPUT

    command = [sys.executable, "-m", "assets.privacy.linkage_process", str(scratch)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_ENVIRONMENT, cwd=root
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        pairs = None
        try:
            with child.stdin, pa.ipc.new_stream(child.stdin, INPUT) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            with pa.ipc.open_stream(child.stdout) as reader:
                pairs = reader.read_all()
        except (OSError, pa.ArrowInvalid):
            pass  # it died; its code says so
        kind = child.stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
    if child.returncode or pairs is None:
        what = kind if kind.isidentifier() else f"ended with code {child.returncode}"
        raise LinkageFailed(
            f"people could not be compared: the process failed ({what}). Nothing was merged; the next run that brings people compares"
            " them again. Remedy: see that memory and room beside the vault suffice"
        )
    return pairs


def _batches(connection: sa.Connection, rows: Iterable[Described]) -> Iterator[pa.RecordBatch]:
    number = 0
    for chunk in _chunks(rows):
        numbered = _residents(connection, {row.current for row in chunk})
        yield to_batch(chunk, numbered.keys(), start=number)
        number += len(chunk)


def to_batch(rows: Sequence[Described], numbered: Iterable[int], *, start: int) -> pa.RecordBatch:
    """Descriptions as the comparing process takes them.

    Args:
        rows: Descriptions.
        numbered: People with a resident number.
        start: Number of the first row.
    """
    from assets.privacy.linkage_process import INPUT
    from assets.privacy.vault_schema import BLOCKS

    have = set(numbered)
    said = [row.demographics for row in rows]
    columns: dict[str, Any] = {
        "row": range(start, start + len(rows)),
        "person_id": [row.person_id for row in rows],
        "current": [row.current for row in rows],
        "site": [row.site for row in rows],
        "is_new": [row.is_new for row in rows],
        "is_numbered": [row.current in have for row in rows],
        "jamo": [jamo(d.name) for d in said],
        "sound": [sound(d.name or d.roman) for d in said],
        **{name: [getattr(d, name) for d in said] for name in ("name", "roman", "birth_date", "sex", "phone", "region", "address")},
        **{name: [row.blocks[at] for row in rows] for at, name in enumerate(BLOCKS)},
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in INPUT], schema=INPUT)


def _carry_out(connection: sa.Connection, pairs: Sequence[Mapping[str, Any]], done: Linked) -> None:
    """Merge the surest first; what a rule about numbers forbids is asked or kept apart."""
    people = {p for pair in pairs for p in (pair["left_person_id"], pair["right_person_id"])}
    now, ages = _standing(connection, people)
    groups = _Groups(now, ages, _residents(connection, set(now.values())), _sites(connection, set(now.values())))
    parted = rejected_pairs(connection)
    proposals = []
    for pair in sorted(pairs, key=lambda p: (-round(p["weight"], 6), *sorted((ages[p["left_person_id"]], ages[p["right_person_id"]])))):
        left, right = groups.root(now[pair["left_person_id"]]), groups.root(now[pair["right_person_id"]])
        if left == right:
            continue
        if groups.differ(left, right) or any(frozenset((a, b)) in parted for a in groups.members(left) for b in groups.members(right)):
            done.kept_apart += 1
        elif pair["is_merge"] and not groups.share_site(left, right):
            groups.join(left, right)
        else:
            same_site = pair["is_same_site"] or groups.share_site(left, right)
            proposals.append(Proposal(pair, "two numbers of one site" if same_site else "not sure"))
    merges = groups.merges()
    merge_people(connection, merges, cause=BY_LINKAGE)
    done.merged = len(merges)
    done.proposed = propose(connection, [p for p in proposals if groups.root(now[p.left]) != groups.root(now[p.right])])


class _Groups:
    """People joined so far, with the numbers of each group."""

    def __init__(
        self, now: Mapping[int, int], ages: Mapping[int, int], residents: Mapping[int, set[bytes]], sites: Mapping[int, set[str]]
    ) -> None:
        self._ages = ages
        self._parent: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}
        self._residents = {p: set(v) for p, v in residents.items()}
        self._sites = {p: set(v) for p, v in sites.items()}

    def root(self, person: int) -> int:
        while person in self._parent:
            person = self._parent[person]
        return person

    def members(self, root: int) -> list[int]:
        return self._members.get(root, [root])

    def differ(self, left: int, right: int) -> bool:
        """Two resident numbers."""
        return len(self._residents.get(left, set()) | self._residents.get(right, set())) > 1

    def share_site(self, left: int, right: int) -> bool:
        """One site has a number for each of them, so it takes them for two."""
        return not self._sites.get(left, set()).isdisjoint(self._sites.get(right, set()))

    def join(self, left: int, right: int) -> None:
        """The older one stands for both."""
        person, alias = sorted((left, right), key=lambda p: self._ages[p])
        self._parent[alias] = person
        self._members[person] = [*self.members(person), *self.members(alias)]
        for held in (self._residents, self._sites):
            held[person] = held.get(person, set()) | held.get(alias, set())  # type: ignore[assignment, operator]

    def merges(self) -> list[tuple[int, int]]:
        """(alias, person) of everybody who was joined to somebody."""
        return [(alias, self.root(alias)) for alias in self._parent]


def _standing(connection: sa.Connection, people: Iterable[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Home person -> current person; person -> place in order of first sight, of both."""
    now: dict[int, int] = {}
    ages: dict[int, int] = {}
    query = sa.select(PERSON.c.person_id, PERSON.c.merged_into, PERSON.c.ordinal)
    for chunk in _chunks(people):
        for person, into, ordinal in read_rows(connection, query.where(PERSON.c.person_id.in_(chunk))):
            now[person], ages[person] = (into or person), ordinal
    for chunk in _chunks(set(now.values()) - ages.keys()):
        ages.update({p: o for p, _, o in read_rows(connection, query.where(PERSON.c.person_id.in_(chunk)))})
    return now, ages


def _residents(connection: sa.Connection, people: Iterable[int]) -> dict[int, set[bytes]]:
    """Person -> look-ups of resident numbers."""
    found: dict[int, set[bytes]] = {}
    c = IDENTIFIER.c
    for chunk in _chunks(people):
        for person, lookup in read_rows(connection, sa.select(c.person_id, c.lookup).where(c.person_id.in_(chunk), c.system == RESIDENT)):
            found.setdefault(person, set()).add(bytes(lookup))
    return found


def _sites(connection: sa.Connection, people: Iterable[int]) -> dict[int, set[str]]:
    """Person -> sites that have a number of their own for the person."""
    found: dict[int, set[str]] = {}
    c = IDENTIFIER.c
    for chunk in _chunks(people):
        for person, site in read_rows(connection, sa.select(c.person_id, c.site).where(c.person_id.in_(chunk), c.system == LOCAL)):
            found.setdefault(person, set()).add(site)
    return found


def _chunks(items: Iterable[Any], size: int = _BATCH // 5) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
