"""One landed delivery parsed again from the landing store, to land what its quarantine holds back.

Belongs here: which of its rows are written this time. Does not belong here: landing itself (`land`), rows that a table has lost (`restoring`).

Rows keep the ids they would have had: rows are numbered in the order in which they landed, those of the first landing first, then those of
each replay. So a replay never takes the id of a row that lies in a table already, and a row that is landed a second time gets its own back.

Records about people who have withdrawn stay in quarantine, whatever replay is asked for.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assets.contracts.table import Entity
from assets.formats.reasons import Reason
from assets.landing.door import sha256_of, stored_folder
from assets.landing.holding import Place, erased_of, held_row, lines_without_parent, records_about, refused_row
from assets.landing.identify import read_spool
from assets.landing.job import file_jobs
from assets.landing.land import UNPACKED, ConservationError, _Delivery
from assets.landing.manifest import read_manifest
from assets.landing.parents import orphan_row
from assets.landing.ranks import Ranks, is_held
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey, QuarantineRow
from assets.ledger.replays import ReplayReceipt
from assets.ledger.withdrawn import HeldRecord
from assets.privacy.scrub import load_rules
from assets.privacy.vault import Resolution


class CannotReplay(RuntimeError):
    """The delivery cannot be parsed as it was; the message says why. Nothing was written."""


@dataclass
class Replayed:
    """What a replay did to one delivery. Counts are records."""

    key: DeliveryKey
    asked: int = 0
    landed: int = 0
    duplicate: int = 0
    still: Counter[str] = field(default_factory=Counter)
    problem: str | None = None


def replay(workspace: Workspace, key: DeliveryKey, ids: Collection[int]) -> Replayed:
    """Parse a delivery by today's rules and land what they accept of these quarantine entries, exactly once.

    Args:
        workspace: The lake.
        key: A landed delivery.
        ids: Quarantine entries; settled ones are left alone. What is held because people withdrew is looked at together. A replay that was killed is
            finished first, as it began.

    Raises:
        CannotReplay: The stored bytes are not what was accepted, or are counted otherwise than before.
        ConservationError: The accounts would not add up.
    """
    history = workspace.deliveries.quarantine_history(key)
    begun = workspace.withdrawn.begun_replay(key)
    asked = [e for e in history if e["replay"] is None and e["id"] in (ids if begun is None else begun)]
    if begun is None and any(is_held(e) for e in asked):
        asked = [e for e in history if e["replay"] is None and (e["id"] in ids or is_held(e))]
    if not asked:
        return Replayed(key)
    with own_spool(workspace, key) as spool:
        return _Replay(workspace, key, spool, history, asked, is_begun=begun is not None).replay()


@contextmanager
def own_spool(workspace: Workspace, key: DeliveryKey) -> Iterator[Path]:
    spool = workspace.lake.landing / ".spool" / key.site / key.feed / key.delivery_id
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True)
    try:
        yield spool
    finally:
        shutil.rmtree(spool, ignore_errors=True)


class _Again(_Delivery):
    """A delivery parsed a second time."""

    def __init__(self, workspace: Workspace, key: DeliveryKey, spool: Path) -> None:
        folder = stored_folder(workspace, key)
        manifest, _ = read_manifest(folder)
        erased = workspace.erasures.stored(key)
        for number, file in enumerate(manifest.files, 1):
            path = folder / file.path
            sha256 = erased.get(file.sha256.lower(), file.sha256.lower())
            if sha256 is None:
                raise CannotReplay(
                    f"{key}: file {number} of its manifest was destroyed when a person in it was erased. Remedy: restore raw tables from a backup"
                    " (docs/ERASURE.md); have what its quarantine holds delivered again"
                )
            if not path.is_file() or sha256_of(path) != sha256:
                raise CannotReplay(f"{key}: file {number} of its manifest is not what was accepted. Remedy: restore landing/ from a backup")
        files = file_jobs(manifest, folder, workspace.sites[key.site].feeds[key.feed], spool / UNPACKED)
        super().__init__(workspace, key, manifest.sequence, files, spool)
        self._rank: Mapping[bool, Ranks]

    def _rank_by(self, history: Collection[Mapping[str, Any]], now: Mapping[int, int]) -> None:
        self._rank = {always: Ranks(history, now, always=always) for always in (False, True)}

    def _rank_of(self, entity: Entity, batch: pa.RecordBatch) -> np.ndarray:
        return self._rank[entity.lands_after_withdrawal].of(batch)

    def _read(self) -> dict[int, int]:
        """Count and parse; `_quarantine` is then what today's rules refuse. Returns records by file."""
        counted = {f.index: self._count(f).records for f in self._files}
        refused = self._parse()
        if refused is not None:
            raise CannotReplay(f"{self._key}: refused whole by today's rules ({refused[0]})")
        self._balance(counted)
        return counted

    def _ranks(self, entity: Entity, paths: tuple[Path, ...]) -> np.ndarray | None:
        return np.concatenate([self._rank_of(entity, batch) for batch in read_spool(*paths)] or [np.empty(0, np.int64)])


@dataclass
class _Verdicts:
    """What a replay does with the entries it was asked for.

    Attributes:
        settled: Entries that count no more, because their records land, or stay for another reason.
        refused: Entries that count from now on.
        still: Entries that stay as they are, by the reason for which they stay.
    """

    settled: list[Mapping[str, Any]] = field(default_factory=list)
    refused: list[QuarantineRow] = field(default_factory=list)
    still: Counter[str] = field(default_factory=Counter)

    def keep(self, entry: Mapping[str, Any], reason: str | None = None) -> None:
        self.still[reason or entry["reason"]] += entry["records"]


class _Replay(_Again):
    """What the quarantine of a delivery holds back."""

    def __init__(
        self, workspace: Workspace, key: DeliveryKey, spool: Path, history: list[dict[str, Any]], asked: list[dict[str, Any]], *, is_begun: bool
    ) -> None:  # fmt: skip
        super().__init__(workspace, key, spool)
        self._history = history
        self._asked = asked
        self._is_begun = is_begun
        self._number = max((e["replay"] or 0 for e in history), default=0) + 1
        label = f"{key}~replay{self._number}"
        self._transaction = (f"{key}~replay", self._number)
        self._cause = f"replay {label}"
        self._identity_source = f"identity-replay-{self._number}"

    def replay(self) -> Replayed:
        counted = self._read()
        self._require_same_count(counted)
        today = {(q.file_index, q.row_number): q for q in self._quarantine}
        lines = self._files_of_lines()
        result = Replayed(self._key, asked=sum(e["records"] for e in self._asked))
        open_: list[Mapping[str, Any]] = []  # entries that the parser would accept, and those that wait for consent
        for entry in self._asked:
            refused = entry["file_index"] in self._whole_files or (entry["file_index"], entry["row_number"]) in today
            if is_held(entry) or not (refused or entry["file_index"] in lines):
                open_.append(entry)
            else:
                result.still[entry["reason"]] += entry["records"]
        if not open_:
            return result
        resolution = self._resolve()
        withdrawn = self._about_withdrawn(resolution)
        verdicts = self._judge(open_, today, withdrawn, records_about(erased_of(resolution), self._parsed(), everywhere=True))
        result.still.update(verdicts.still)
        result.still.update(Counter(q.reason for q in verdicts.refused))
        held = self._held_after(verdicts, withdrawn)
        if not verdicts.settled:
            self._workspace.withdrawn.put(self._key, held)
            return result
        self._workspace.withdrawn.begin_replay(self._key, [e["id"] for e in verdicts.settled])
        self._rank_by([*self._history, *_as_entries(verdicts.refused)], dict.fromkeys((e["id"] for e in verdicts.settled), self._number))
        receipt = self._land(counted, verdicts, held, resolution)
        result.landed, result.duplicate = sum(receipt.landed.values()), sum(receipt.duplicate.values())
        return result

    def _judge(
        self, entries: Iterable[Mapping[str, Any]], today: Mapping[tuple[int | None, int | None], QuarantineRow],
        withdrawn: Mapping[Place, set[int]], erased: Mapping[Place, set[int]],
    ) -> _Verdicts:  # fmt: skip
        """Which entries are settled, and which records are refused for the person they are about."""
        out = _Verdicts()
        gone = self._still_withdrawn()
        for entry in entries:
            index, number, ref = entry["file_index"], entry["row_number"], entry["ref"]
            place = (index, number)
            if number is None:
                out.settled.append(entry)
                out.refused += [q for q in self._quarantine if q.file_index == index]
                out.refused += [held_row(*at) for at in self._in_file(withdrawn, entry)]
                alone = {at: people for at, people in erased.items() if at not in withdrawn}
                out.refused += [refused_row(Reason.ERASED_PERSON, *at) for at in self._in_file(alone, entry)]
            elif not self._is_begun and (place in withdrawn or (is_held(entry) and place in gone and self._is_refused(place, today))):
                if is_held(entry):
                    out.keep(entry)
                else:
                    out.settled.append(entry)
                    out.refused.append(held_row(index, ref, number))
            elif place in erased:
                if entry["reason"] == Reason.ERASED_PERSON:
                    out.keep(entry)
                else:
                    out.settled.append(entry)
                    out.refused.append(refused_row(Reason.ERASED_PERSON, index, ref, number))
            else:
                out.settled.append(entry)
                out.refused += self._refused_today(place, ref, today)
        self._refuse_orphans(out)
        return out

    def _is_refused(self, place: Place, today: Collection[object]) -> bool:
        return place in today or place[0] in self._whole_files

    def _refused_today(self, place: Place, ref: str, today: Mapping[tuple[int | None, int | None], QuarantineRow]) -> list[QuarantineRow]:
        """Why a record cannot land though its people consent again, if so."""
        if place in today:
            return [today[place]]
        if (reason := self._whole_files.get(place[0])) is None:
            return []
        return [QuarantineRow(place[0], ref, place[1], None, 1, reason, None, None)]

    def _in_file(self, found: Mapping[Place, set[int]], entry: Mapping[str, Any]) -> list[tuple[int, str, int]]:
        return [(file, entry["ref"], number) for file, number in sorted(found) if file == entry["file_index"]]

    def _refuse_orphans(self, verdicts: _Verdicts) -> None:
        """Lines land with the record from which they take their person, or not at all."""
        refused = {(q.file_index, q.row_number) for q in verdicts.refused}
        landing = {(e["file_index"], e["row_number"]): e for e in verdicts.settled if e["row_number"] is not None}
        landing = {place: e for place, e in landing.items() if place not in refused}
        files = self._files_of_lines()
        lines = {place for place in landing if place[0] in files}
        for (index, number), column in lines_without_parent(lines, landing.keys(), self._parsed()).items():
            verdicts.refused.append(orphan_row(index, landing[index, number]["ref"], number, column))

    def _still_withdrawn(self) -> set[Place]:
        """Places of records that are held, of which somebody has not consented again as far as the ledger knows."""
        held = self._workspace.withdrawn.held(self._key)
        now = self._workspace.vault.people_of(sorted({h.person_id for h in held}))
        ids = {i for person, ref in now.items() for i in (person, ref.person_id)}
        gone = self._workspace.withdrawn.known(ids)
        return {(h.file_index, h.row_number) for h in held if gone & {h.person_id, now[h.person_id].person_id}}

    def _held_after(self, verdicts: _Verdicts, withdrawn: Mapping[Place, set[int]]) -> list[HeldRecord]:
        """What is held of the delivery once the replay has landed what it lands."""
        settled = {(e["file_index"], e["row_number"]) for e in verdicts.settled}
        kept: dict[tuple[int, int, str], set[int]] = {}
        for record in self._workspace.withdrawn.held(self._key):
            place = (record.file_index, record.row_number)
            if place not in settled:
                kept.setdefault((*place, record.ref), set()).update(withdrawn.get(place) or {record.person_id})
        for row in verdicts.refused:
            if row.reason == Reason.PERSON_WITHDRAWN:
                kept[int(row.file_index or 0), int(row.row_number or 0), row.ref] = withdrawn[
                    int(row.file_index or 0), int(row.row_number or 0)
                ]
        return [HeldRecord(file, number, person, ref) for (file, number, ref), people in kept.items() for person in people]

    def _files_of_lines(self) -> set[int]:
        """Files of records that take their person from another record: they land with it or not at all, so they are delivered again."""
        rules = load_rules(self._contract.family)
        lines = {name for name, of in rules.items() if any(rule.verb == "person_of" for rule in of.rules.values())}
        return {f.index for f in self._files if f.entity in lines}

    def _land(self, counted: Mapping[int, int], verdicts: _Verdicts, held: list[HeldRecord], resolution: Resolution) -> ReplayReceipt:
        workspace, key = self._workspace, self._key
        rows, versions, duplicates, buckets = self._write(resolution)
        for entity, written in rows.items():
            receipt = self._receipts[self._contract.entities[entity].key]
            if receipt.replayed and receipt.rows != written:
                raise ConservationError(
                    f"{key}: a replay was cut short after it wrote {receipt.rows} rows of {entity}; today's rules accept {written}."
                    " Remedy: replay with the rules of then, afterwards with those of now"
                )
        added = {e: n for e, n in rows.items() if n}
        whole = {e["file_index"] for e in verdicts.settled if e["row_number"] is None}
        receipt_ = ReplayReceipt(
            self._number, sorted(e["id"] for e in verdicts.settled), verdicts.refused, {i: counted[i] for i in whole}, dict(self._landed_by_file),
            dict(duplicates), added, versions, held,
        )  # fmt: skip
        self._note_change(buckets, versions)
        workspace.deliveries.close_replayed(key, receipt_, rule_version=workspace.rule_version)
        return receipt_

    def _require_same_count(self, counted: Mapping[int, int]) -> None:
        """Row numbers only mean the same records where the files still fall into as many."""
        was_whole = {e["file_index"] for e in self._history if e["row_number"] is None and e["replay"] is None}
        for row in self._workspace.deliveries.files(self._key):
            index = row["file_index"]
            if index not in was_whole and counted.get(index) != row["counted"]:
                raise CannotReplay(
                    f"{self._key}: {row['ref']} now falls into {counted.get(index)} records, {row['counted']} when it landed."
                    " Remedy: undo the change of delimiter, quote or encoding, or have it delivered again"
                )

    def _chosen(self, entity: Entity, batch: pa.RecordBatch) -> np.ndarray:
        return np.asarray(self._rank_of(entity, batch) == self._number)


def _as_entries(refused: Iterable[QuarantineRow]) -> list[dict[str, Any]]:
    return [{"id": -1, "file_index": q.file_index, "row_number": q.row_number, "reason": q.reason, "replay": None} for q in refused]


__all__ = ["CannotReplay", "Replayed", "replay"]
