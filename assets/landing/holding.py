"""Which records of a delivery are about people who have withdrawn, and so may not land.

Belongs here: finding them among parsed rows. Does not belong here: who has withdrawn (`assets/ledger/withdrawn`), keeping them out (`land`), landing them
once their people consent again (`again`).

A record is held whole: where it fills several tables (an HL7 v2 message, a form of a registry), a row about somebody who withdrew in any of them holds
them all. Rows of entities whose contract says `lands_after_withdrawal` land all the same, and hold nothing; and so does a correction that takes a record from
somebody else, who would keep it otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.contracts.table import ERASED, Entity
from assets.formats.reasons import Reason
from assets.landing.effects import MEMORY, MOST_LISTED, files_of_site, rows_in
from assets.landing.identify import read_spool
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import QuarantineRow
from assets.privacy.pseudonyms import RecordSurrogates
from assets.privacy.scrub import EntityRules
from assets.privacy.vault import Resolution

Place = tuple[int, int]
"""File of a delivery and number of a record in it."""
CONSENTED = "consented"
"""Legal basis of a site whose people are read on their consent: what another basis opens, a withdrawal does not close."""


@dataclass
class Spooled:
    """Parsed rows of a delivery.

    Attributes:
        entities: Each entity with its spool files, parents before their lines.
        rules: Allow-lists of the family.
        whole_files: Files that are quarantined whole: none of their rows is looked at.
    """

    entities: Iterable[tuple[Entity, tuple[Path, ...]]]
    rules: Mapping[str, EntityRules]
    whole_files: Collection[int] = ()


def withdrawn_of(workspace: Workspace, site: str, resolution: Resolution) -> dict[str, int]:
    """Those of a delivery's people who have withdrawn: local identifier -> id of the person under whom its rows would land.

    Somebody who was merged counts as withdrawn while either of the two does: the next build says which holds.
    """
    if workspace.sites[site].legal_basis != CONSENTED:
        return {}
    buckets = {ref.bucket for ref in resolution.homes.values()} | {ref.bucket for ref in resolution.people.values()}
    gone = workspace.withdrawn.of_buckets(buckets - {ERASED})
    return {
        local: home.person_id
        for local, home in (resolution.homes.items() if gone else ())
        if home.person_id in gone or resolution.people[local].person_id in gone
    }


def erased_of(resolution: Resolution) -> dict[str, int]:
    """Those of a delivery's people who were erased: local identifier -> person id."""
    return {local: home.person_id for local, home in resolution.homes.items() if home.bucket == ERASED}


def records_about(people: Mapping[str, int], spooled: Spooled, *, everywhere: bool = False) -> dict[Place, set[int]]:
    """Records about some people, with the people.

    Args:
        people: Local identifier -> person id.
        spooled: Where to look.
        everywhere: Also in entities that land after a withdrawal.
    """
    search = _Search(people)
    if people:
        parents = _parents(spooled.rules)
        for entity, paths in spooled.entities:
            if entity.person_level and entity.name in spooled.rules and (everywhere or not entity.lands_after_withdrawal):
                of_lines = entity.name if entity.name in parents else None
                search.look_at(spooled.rules[entity.name], paths, without=spooled.whole_files, parents_of=of_lines)
    return search.found


def taken_from_others(workspace: Workspace, site: str, places: Collection[Place], spooled: Spooled) -> set[Place]:
    """Records, of some that would be held, which somebody else has had: the one whose they were loses them by nothing but the correction.

    Looked for in the delivery itself and among the site's earlier rows, by record number.
    """
    found: set[Place] = set()
    held, surrogates = Held(places), RecordSurrogates(workspace.vault.key, site)
    for entity, paths in spooled.entities if places else ():
        rule = spooled.rules[entity.name].rules.get("record_id") if entity.name in spooled.rules else None
        if not entity.person_level or entity.lands_after_withdrawal or rule is None or rule.verb != "record":
            continue
        own: dict[str, set[Place]] = {}
        for batch in read_spool(*paths):
            rows = batch.filter(pa.array(held.mask(entity, batch)))
            for name, *place in zip(*(rows[c].to_pylist() for c in ("record_id", "_file", "_row_number")), strict=True):
                own.setdefault(name, set()).add((place[0], place[1]))
        if not own:
            continue
        names = pa.array(sorted(own), pa.string())
        by_id = dict(zip(surrogates.column(names, str(rule.scope)).to_pylist(), names.to_pylist(), strict=True))
        taken = {by_id[i] for i in _ids_of_others(workspace, entity, site, by_id.keys())}
        for batch in _rows_with(own.keys() - taken, "record_id", paths, spooled.whole_files):
            taken.update(batch.filter(pa.array(~held.mask(entity, batch)))["record_id"].to_pylist())
        found.update(place for name in taken for place in own[name])
    return found


def _ids_of_others(workspace: Workspace, entity: Entity, site: str, ids: Collection[int]) -> set[int]:
    """Those of some record ids of which a site's earlier row is about somebody who has not withdrawn."""
    source = rows_in(files_of_site(workspace.lake, entity, site))
    if source is None:
        return set()
    wanted = sorted(ids)
    with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(workspace.lake.scratch)}) as connection:
        rows = [
            row
            for start in range(0, len(wanted), MOST_LISTED)
            for row in connection.execute(
                f"select distinct record_id, person_id from {source} where person_id is not null"
                f" and record_id in ({', '.join(map(str, wanted[start : start + MOST_LISTED]))})"
            ).fetchall()
        ]
    gone = workspace.withdrawn.known({person for _, person in rows})
    return {record for record, person in rows if person not in gone}


def lines_without_parent(lines: Collection[Place], landing: Collection[Place], spooled: Spooled) -> dict[Place, str]:
    """Lines whose parent is not among the records that land, with the column that points to it."""
    orphans: dict[Place, str] = {}
    there: dict[str, set[str]] = {}
    parents = _parents(spooled.rules)
    for entity, paths in spooled.entities if lines else ():
        rules = spooled.rules.get(entity.name)
        rule = next((r for r in rules.rules.values() if r.verb == "person_of"), None) if rules is not None else None
        if entity.name not in parents and rule is None:
            continue
        column = "record_id" if rule is None else rule.path
        for batch in read_spool(*paths):
            places = zip(batch["_file"].to_pylist(), batch["_row_number"].to_pylist(), strict=True)
            for place, value in zip(places, batch[column].to_pylist(), strict=True):
                if rule is None and place in landing:
                    there.setdefault(entity.name, set()).add(value)
                elif rule is not None and place in lines and value not in there.get(str(rule.scope), ()):
                    orphans[place] = rule.path
    return orphans


def _parents(rules: Mapping[str, EntityRules]) -> set[str]:
    """Entities from whose records lines take their person."""
    return {str(r.scope) for of in rules.values() for r in of.rules.values() if r.verb == "person_of"}


@dataclass
class _Search:
    people: Mapping[str, int]
    found: dict[Place, set[int]] = field(default_factory=dict)
    parents: dict[str, dict[str, int]] = field(default_factory=dict)

    def look_at(self, rules: EntityRules, paths: Iterable[Path], *, without: Collection[int], parents_of: str | None) -> None:
        """One entity; where lines take their person from its records, these are remembered."""
        for rule in rules.rules.values():
            if rule.verb == "person":
                wanted, column = self.people, rule.column
            elif rule.verb == "person_of":
                wanted, column = self.parents.get(str(rule.scope), {}), rule.path
            else:
                continue
            for batch in _rows_with(wanted, column, paths, without):
                ids = [wanted[v] for v in batch[column].to_pylist()]
                for file, number, person in zip(batch["_file"].to_pylist(), batch["_row_number"].to_pylist(), ids, strict=True):
                    self.found.setdefault((file, number), set()).add(person)
                if parents_of is not None:
                    self.parents.setdefault(parents_of, {}).update(zip(batch["record_id"].to_pylist(), ids, strict=True))


def _rows_with(wanted: Collection[str], column: str, paths: Iterable[Path], without: Collection[int]) -> Iterator[pa.RecordBatch]:
    if not wanted:
        return
    values = pa.array(sorted(wanted), pa.string())
    for batch in read_spool(*paths):
        here = pc.is_in(batch[column], value_set=values)
        if without:
            here = pc.and_(here, pc.invert(pc.is_in(batch["_file"], value_set=pa.array(sorted(without), batch["_file"].type))))
        found = batch.filter(here)
        if found.num_rows:
            yield found


class Held:
    """Records of a delivery that are held, ready to be looked up by batch."""

    def __init__(self, places: Iterable[Place]) -> None:
        numbers: dict[int, set[int]] = {}
        for file, number in places:
            numbers.setdefault(file, set()).add(number)
        self._numbers = {index: np.array(sorted(found), np.int64) for index, found in numbers.items()}

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def mask(self, entity: Entity, batch: pa.RecordBatch) -> np.ndarray:
        """Which rows of a spooled batch are held."""
        held = np.zeros(batch.num_rows, bool)
        if entity.lands_after_withdrawal:
            return held
        files, numbers = batch["_file"].to_numpy(), batch["_row_number"].to_numpy()
        for index, found in self._numbers.items():
            here = files == index
            held[here] = np.isin(numbers[here], found)
        return held


def held_row(file_index: int, ref: str, row_number: int) -> QuarantineRow:
    """The quarantine entry of a record about somebody who has withdrawn."""
    return refused_row(Reason.PERSON_WITHDRAWN, file_index, ref, row_number)


def refused_row(reason: Reason, file_index: int, ref: str, row_number: int) -> QuarantineRow:
    """The quarantine entry of a record that is refused because of the person it is about."""
    return QuarantineRow(file_index, ref, row_number, None, 1, reason, None, reason.sentence)
