"""One accepted delivery into raw Delta tables, exactly once, every record accounted for.

Belongs here: the order of steps and the accounts. Does not belong here: checks of a delivery as a whole (`door`), parsing
(`assets/formats`), people (`identify`), how a Delta commit is made durable (`assets/lake`).

Why a kill at any moment is safe: parsing writes only to a spool that is thrown away; the vault gives the same people again; each Delta
append carries the delivery as app transaction and is skipped if the table has it; the ledger closes the delivery last.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.collector import paused_collector
from assets.contracts.table import ERASED, NOBODY, Contract, Entity, load_contract
from assets.formats.count import RecordCount, count_records
from assets.formats.headers import noted_elements, noted_headers
from assets.formats.reasons import Reason
from assets.formats.sandbox import ChildResult, run_child
from assets.lake import tables
from assets.lake.commits import REMEDY, CommitReceipt, TornTable
from assets.landing.door import sha256_of, stored_folder
from assets.landing.effects import MOST_LISTED, Brought, find_effects
from assets.landing.files import FileJob
from assets.landing.holding import CONSENTED, Held, Place, Spooled, held_row, records_about, refused_row, taken_from_others, withdrawn_of
from assets.landing.identify import Pseudonymiser, number_repeats, read_spool, repeated_rows, resolve_people
from assets.landing.job import LIMITS, build_job, file_jobs
from assets.landing.manifest import Manifest, read_manifest
from assets.landing.parents import ParentCollector, orphan_row
from assets.landing.repeats import rows_said_twice
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey, FileCount, QuarantineRow, Receipt
from assets.ledger.headers import elements_of
from assets.ledger.schema import DeliveryState
from assets.ledger.withdrawn import HeldRecord
from assets.privacy.pseudonyms import RecordSurrogates
from assets.privacy.scrub import Rule, load_rules
from assets.privacy.vault import Resolution

_TOMBSTONE_RULES = {
    "record_id": Rule("record_id", "record", None, ""),
    "entity_name": Rule("entity_name", "keep", None, ""),
    "is_last": Rule("is_last", "keep", None, ""),
}


UNPACKED = "unpacked"
"""Folder of a spool for what archives hold; the rows of the parsers lie beside it, in `parsed`."""


class ConservationError(RuntimeError):
    """The accounts of a delivery do not add up: a defect in Biodam. Nothing was marked landed."""


@dataclass
class Landing:
    """What landing one delivery did, for logs and Dagster metadata. Counts are records."""

    key: DeliveryKey
    state: DeliveryState
    delivered: int = 0
    landed: int = 0
    quarantined: int = 0
    duplicate: int = 0
    reason: str | None = None
    detail: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    buckets: set[int] = field(default_factory=set)


def land(workspace: Workspace, key: DeliveryKey) -> Landing:
    """Land one accepted delivery.

    Args:
        workspace: Lake, ledger, vault and sites.
        key: A delivery in state accepted.

    Returns:
        What happened; also in the ledger.

    Raises:
        ConservationError: delivered differs from landed + quarantined + duplicate for any file.
    """
    folder = stored_folder(workspace, key)
    manifest, _ = read_manifest(folder)
    feed = workspace.sites[key.site].feeds[key.feed]
    if broken := _altered(manifest, folder):
        return _refuse(
            workspace, key, "hash_mismatch", f"file {broken} of the manifest was altered in the landing store after it was accepted"
        )
    spool = workspace.lake.landing / ".spool" / key.site / key.feed / key.delivery_id
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True)
    try:
        with paused_collector():
            files = file_jobs(manifest, folder, feed, spool / UNPACKED)
            return _Delivery(workspace, key, manifest.sequence, files, spool).land()
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def _altered(manifest: Manifest, folder: Path) -> int | None:
    """Number of the first file whose size is no longer the accepted one (hashes are checked at the door and by `biodam verify --deep`)."""
    for number, file in enumerate(manifest.files, 1):
        path = folder / file.path
        if not path.is_file() or path.stat().st_size != file.bytes:
            return number
    return None


def _refuse(workspace: Workspace, key: DeliveryKey, reason: str, detail: str) -> Landing:
    workspace.deliveries.move(key, DeliveryState.REFUSED, reason=reason, detail=detail)
    return Landing(key, DeliveryState.REFUSED, reason=reason, detail=detail)


class _Delivery:
    """One delivery on its way through landing."""

    def __init__(self, workspace: Workspace, key: DeliveryKey, sequence: int, files: list[FileJob], spool: Path) -> None:
        self._workspace = workspace
        self._key = key
        self._sequence = sequence
        self._files = files
        self._spool = spool / "parsed"
        self._feed = workspace.sites[key.site].feeds[key.feed]
        self._contract: Contract = load_contract(self._feed.kind.family)
        self._quarantine: list[QuarantineRow] = []
        self._whole_files: dict[int, str] = {}
        self._landed_at = datetime.now(UTC)
        self._transaction: tuple[str | None, int] = (str(key), sequence)
        self._cause = f"land {key}"
        self._identity_source = "identity"
        self._receipts: dict[str, CommitReceipt] = {}
        self._repeated: dict[str, frozenset[int]] = {}
        self._withheld: Counter[tuple[str, str]] = Counter()
        self._held = Held(())

    def land(self) -> Landing:
        counted = {f.index: self._count(f) for f in self._files}
        if mismatch := self._mismatch(counted):
            return _refuse(self._workspace, self._key, "count_mismatch", mismatch)
        refused = self._parse()
        if refused is not None:
            return _refuse(self._workspace, self._key, refused[0], refused[1])
        self._balance({i: c.records for i, c in counted.items()})
        resolution = self._resolve()
        self._hold(resolution)
        rows, versions, duplicates, buckets = self._write(resolution)
        return self._close({i: c.records for i, c in counted.items()}, rows, versions, duplicates, buckets, resolution)

    def _mismatch(self, counted: Mapping[int, RecordCount]) -> str | None:
        """What differs from the sender's own count of a delivered file; a workbook holds the records of all its sheets."""
        for _, parts in groupby(self._files, key=lambda f: f.delivered):
            files = list(parts)
            counts = [counted[f.index] for f in files]
            records = sum(c.records for c in counts)
            if files[0].declared is not None and all(c.complete for c in counts) and files[0].declared != records:
                return f"{files[0].ref} holds {records} records, the manifest says {files[0].declared}. Remedy: send again"
        return None

    def _count(self, file: FileJob) -> RecordCount:
        feed = self._feed
        if file.set_aside is not None and file.set_aside.records is not None:
            return RecordCount(file.set_aside.records, file.set_aside.records == 0, file.set_aside.detail)
        if file.format is None:  # a README, a picture: it is quarantined as a file, and nobody can say what a record of it would be
            return RecordCount(0, False, "no wire format")
        return count_records(
            file.path, file.format, file.compression, encoding=feed.encoding, delimiter=feed.delimiter, quote=feed.quote,
            record_bytes=LIMITS["record_bytes"], sheet=file.sheet, header_rows=feed.layout(file.entity).header_rows,
        )  # fmt: skip

    def _parse(self) -> tuple[str, str] | None:
        """Run a child for each wire format of the delivery; collect rejected records. Returns a refusal, if any."""
        self._spool.mkdir()
        by_format: dict[str, list[FileJob]] = {}
        for file in self._files:
            needs_entity = not self._feed.kind.named_by_record
            if file.set_aside is not None:
                self._quarantine_file(file, file.set_aside.reason, file.set_aside.detail)
            elif file.format is None or (needs_entity and file.entity is None):
                self._quarantine_file(file, "unknown_file", "file name or ending stands for no table of this feed")
            else:
                by_format.setdefault(file.format, []).append(file)
        for wire, files in by_format.items():
            target = self._spool / wire
            target.mkdir(exist_ok=True)
            result = run_child(build_job(wire, files, self._feed, target))
            if result.refused is not None:
                where = f"{result.refused.file} record {result.refused.row_number}, rule {result.refused.rule}"
                return result.refused.reason, f"{result.refused.detail} ({where})"
            self._collect(result, {f.index: f for f in files})
        return None

    def _collect(self, result: ChildResult, files: Mapping[int, FileJob]) -> None:
        for row in result.rejected:
            ref = files[row.file].ref
            self._quarantine.append(QuarantineRow(row.file, ref, row.row_number, row.byte_offset, 1, row.reason, row.rule, row.detail))
        for outcome in result.files:
            if outcome.reason:
                self._quarantine_file(files[outcome.index], outcome.reason, outcome.detail)

    def _quarantine_file(self, file: FileJob, reason: str, detail: str | None) -> None:
        self._whole_files[file.index] = reason
        self._quarantine = [q for q in self._quarantine if q.file_index != file.index]
        self._quarantine.append(QuarantineRow(file.index, file.ref, None, None, 0, reason, None, detail))

    def _balance(self, counted: Mapping[int, int]) -> None:
        """Compare the parser with the independent counter; a file on which they differ is quarantined whole."""
        parsed: Counter[int] = Counter(q.file_index for q in self._quarantine if q.row_number is not None and q.file_index is not None)
        for entity, paths in self._spooled():
            for batch in read_spool(*paths) if self._is_counted(entity) else ():
                values, counts = np.unique(batch["_file"].to_numpy(), return_counts=True)
                parsed.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        for file in self._files:
            if file.index not in self._whole_files and parsed[file.index] != counted[file.index]:
                detail = f"the parser saw {parsed[file.index]} records, the independent counter {counted[file.index]}"
                self._quarantine_file(file, "record_count_differs", detail)
        self._quarantine = [
            QuarantineRow(**{**vars(q), "records": counted[q.file_index]}) if q.row_number is None and q.file_index is not None else q
            for q in self._quarantine
        ]

    def _spooled(self) -> Iterator[tuple[Entity, tuple[Path, ...]]]:
        """Each entity that was parsed, with its spool files (one a wire format)."""
        folders = sorted(p for p in self._spool.iterdir() if p.is_dir())
        for name, entity in self._contract.entities.items():
            paths = tuple(p for p in (folder / f"{name}.arrow" for folder in folders) if p.exists())
            if paths:
                yield entity, paths

    def _is_counted(self, entity: Entity) -> bool:
        """Is a row of this table a delivered record? Where a record fills several tables, only rows of one are."""
        return self._feed.kind.holds_records(entity.name)

    def _resolve(self) -> Resolution:
        merged = Resolution()
        rules = load_rules(self._contract.family)
        for folder in sorted(p for p in self._spool.iterdir() if p.is_dir()):
            found = resolve_people(
                self._workspace.vault,
                folder,
                contract=self._contract,
                rules=rules,
                site=self._key.site,
                delivery=self._cause.partition(" ")[2],
                sequence=self._sequence,
                unheard=lambda resolution: withdrawn_of(self._workspace, self._key.site, resolution),
            )
            merged.people.update(found.people)
            merged.homes.update(found.homes)
            merged.sightings, merged.links = found.sightings, found.links
            merged.conflicts += found.conflicts
            merged.names |= found.names
        return merged

    def _hold(self, resolution: Resolution) -> None:
        """Decide which records are about people who have withdrawn; what was decided before a kill stands."""
        spooled = list(self._spooled())
        is_about_people = any(entity.person_level and not entity.lands_after_withdrawal for entity, _ in spooled)
        if not is_about_people or self._workspace.sites[self._key.site].legal_basis != CONSENTED:
            return
        refs = {f.index: f.ref for f in self._files}
        found = self._about_withdrawn(resolution)
        held = [HeldRecord(file, number, person, refs[file]) for (file, number), people in found.items() for person in people]
        fixed = self._workspace.withdrawn.begin_landing(self._key, held)
        self._held = Held((h.file_index, h.row_number) for h in fixed)

    def _about_withdrawn(self, resolution: Resolution) -> dict[Place, set[int]]:
        """Records about people who have withdrawn, with the people, but for those that are taken from somebody else."""
        parsed = self._parsed()
        found = records_about(withdrawn_of(self._workspace, self._key.site, resolution), parsed)
        taken = taken_from_others(self._workspace, self._key.site, found.keys(), parsed)
        return {place: people for place, people in found.items() if place not in taken}

    def _parsed(self) -> Spooled:
        return Spooled(list(self._spooled()), load_rules(self._contract.family), self._whole_files)

    def _write(self, resolution: Resolution) -> tuple[dict[str, int], dict[str, int], Counter[int], set[int]]:
        surrogates = RecordSurrogates(self._workspace.vault.key, self._key.site)
        rows: dict[str, int] = {}
        versions: dict[str, int] = {}
        self._landed_by_file: Counter[int] = Counter()
        duplicates: Counter[int] = Counter()
        buckets: set[int] = {link.alias.bucket for link in resolution.links} | {link.person.bucket for link in resolution.links}
        buckets |= {person.bucket for value, person in resolution.people.items() if resolution.homes[value] != person}
        all_rules = load_rules(self._contract.family)
        scopes = {str(r.scope) for rules in all_rules.values() for r in rules.rules.values() if r.verb == "person_of"}
        parents = {name: ParentCollector() for name in scopes}
        for entity, paths in self._spooled():
            rules = all_rules[entity.name].rules if entity.name in all_rules else _TOMBSTONE_RULES
            maker = Pseudonymiser(entity, rules, surrogates, resolution.homes, names=resolution.names)
            if maker.parent_rule is not None:
                maker.parents = parents[str(maker.parent_rule.scope)].people()
            ranks = self._ranks(entity, paths)
            ids = _record_ids(maker, paths, ranks)
            dropped = self._duplicates(maker, paths, ids, ranks)
            written = _Written()
            batches = self._batches(maker, paths, ids, dropped, written)
            if entity.name in parents:
                batches = parents[entity.name].watch(batches)
            version = self._append(entity, batches)
            rows[entity.name] = written.rows
            versions[entity.name] = version
            if self._is_counted(entity):
                self._landed_by_file.update(written.by_file)
                duplicates.update(written.dropped_by_file)
            buckets |= written.buckets
            self._withheld.update({(entity.name, column): n for column, n in maker.withheld.items()})
        self._write_people(resolution)
        return rows, versions, duplicates, buckets - {NOBODY, ERASED}

    def _ranks(self, entity: Entity, paths: tuple[Path, ...]) -> np.ndarray | None:
        """Order in which rows are numbered and compared: rows that land now before rows that may land one day. None: as delivered."""
        if not self._whole_files and not self._held:
            return None
        whole = list(self._whole_files)
        ranks = [(np.isin(b["_file"].to_numpy(), whole) | self._held.mask(entity, b)).astype(np.int64) for b in read_spool(*paths)]
        return np.concatenate(ranks or [np.empty(0, np.int64)])  # a table of which all rows were taken back has no batch

    def _chosen(self, entity: Entity, batch: pa.RecordBatch) -> np.ndarray:
        """Rows that this landing is about."""
        return np.ones(batch.num_rows, bool)

    def _duplicates(self, maker: Pseudonymiser, paths: tuple[Path, ...], ids: np.ndarray | None, ranks: np.ndarray | None) -> np.ndarray:
        """Positions of rows that say the same as the row before them in this delivery with the same record id.

        A row that returns to what an older one said (A, B, A) is a new version: it stays.
        """
        if ids is None or maker.rules["record_id"].verb == "key":
            return np.empty(0, np.int64)
        suspects = repeated_rows(ids)
        if len(suspects) <= MOST_LISTED:
            self._repeated[maker.entity.name] = frozenset(ids[suspects].tolist())
        return rows_said_twice(lambda: read_spool(*paths), maker.spooled, ids, ranks, suspects=suspects)

    def _batches(
        self, maker: Pseudonymiser, paths: tuple[Path, ...], ids: np.ndarray | None, dropped: np.ndarray, written: _Written
    ) -> Iterator[pa.RecordBatch]:
        schema = maker.entity.raw_schema()
        refs = {f.index: f.ref for f in self._files}
        position = 0
        for batch in read_spool(*paths):
            end = position + batch.num_rows
            keep = self._chosen(maker.entity, batch)
            files = batch["_file"].to_numpy()
            if self._whole_files:
                keep &= ~np.isin(files, list(self._whole_files))
            if self._held:
                keep &= ~self._set_held_aside(maker.entity, batch, keep, refs)
            repeats = dropped[(dropped >= position) & (dropped < end)] - position
            twice = np.zeros(batch.num_rows, bool)
            twice[repeats] = True
            written.drop(files[keep & twice])
            keep &= ~twice
            own = None if ids is None else pa.array(ids[position:end])
            position = end
            columns = maker.columns(batch, own)
            columns |= self._lineage(batch, files, refs)
            if maker.parent_rule is not None:
                keep &= ~self._set_orphans_aside(maker.parent_rule, columns, files, keep)
            if maker.entity.person_level:
                keep &= ~self._set_erased_aside(maker.entity, columns, files, keep)
            out = pa.RecordBatch.from_arrays([columns[n] for n in schema.names], schema=schema)
            if not keep.all():
                out = out.filter(pa.array(keep))
            written.add(out, files[keep])
            if out.num_rows:
                yield out

    def _set_orphans_aside(self, rule: Rule, columns: Mapping[str, pa.Array], files: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Quarantine rows whose parent is not in the delivery; a mask of them."""
        orphans: np.ndarray = np.asarray(columns[rule.column].is_null().to_numpy(zero_copy_only=False) & keep, dtype=bool)
        for at in np.flatnonzero(orphans).tolist():
            ref, number = columns["_source_file"][at].as_py(), columns["_row_number"][at].as_py()
            self._quarantine.append(orphan_row(int(files[at]), ref, number, rule.path))
        return orphans

    def _set_held_aside(self, entity: Entity, batch: pa.RecordBatch, keep: np.ndarray, refs: Mapping[int, str]) -> np.ndarray:
        """Quarantine rows of records that are held; a mask of them. A repeated one is no duplicate: no row of it has landed."""
        held: np.ndarray = self._held.mask(entity, batch) & keep
        for at in np.flatnonzero(held).tolist() if self._is_counted(entity) else ():
            file = batch["_file"][at].as_py()
            self._quarantine.append(held_row(file, refs[file], batch["_row_number"][at].as_py()))
        return held

    def _set_erased_aside(self, entity: Entity, columns: Mapping[str, pa.Array], files: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Quarantine rows about people who were erased; a mask of them. Where a record fills several tables, its counted row stands for it."""
        erased: np.ndarray = np.asarray(columns["person_bucket"].to_numpy(zero_copy_only=False) == ERASED, dtype=bool) & keep
        for at in np.flatnonzero(erased).tolist() if self._is_counted(entity) else ():
            ref, number = columns["_source_file"][at].as_py(), columns["_row_number"][at].as_py()
            self._quarantine.append(refused_row(Reason.ERASED_PERSON, int(files[at]), ref, number))
        return erased

    def _lineage(self, batch: pa.RecordBatch, files: np.ndarray, refs: Mapping[int, str]) -> dict[str, pa.Array]:
        n = batch.num_rows
        numbers = sorted(refs)
        names = pa.array([refs[i] for i in numbers], pa.string())
        return {
            "site": pa.repeat(pa.scalar(self._key.site), n),
            "_delivery_id": pa.repeat(pa.scalar(self._key.delivery_id), n),
            "_sequence": pa.repeat(pa.scalar(self._sequence, pa.int64()), n),
            "_source_file": names.take(pa.array(np.searchsorted(numbers, files))),
            "_row_number": batch["_row_number"].cast(pa.int64()),
            "_landed_at": pa.repeat(pa.scalar(self._landed_at, pa.timestamp("us", tz="UTC")), n),
        }

    def _append(self, entity: Entity, batches: Iterator[pa.RecordBatch]) -> int:
        reader = pa.RecordBatchReader.from_batches(entity.raw_schema(), batches)
        commits = self._workspace.commits
        expected, expected_log = commits.latest(entity.key)
        app_id, number = self._transaction
        receipt = tables.append(
            self._workspace.lake, entity.key, reader, partition_by=["site"], app_id=app_id, version=number,
            expected_version=expected, expected_log=expected_log, commit_metadata={"cause": self._cause}, record_commit=self._workspace.recorder(self._cause),
        )  # fmt: skip
        self._receipts[entity.key] = receipt
        for _ in batches:  # the table had this delivery already: the rows still have to be counted
            pass
        return receipt.version

    def _write_people(self, resolution: Resolution) -> None:
        people = load_contract("people").entities
        sightings = {
            "person_id": [p.person_id for p in resolution.sightings],
            "person_bucket": [p.bucket for p in resolution.sightings],
        }
        links = {
            "alias_person_id": [x.alias.person_id for x in resolution.links],
            "alias_bucket": [x.alias.bucket for x in resolution.links],
            "person_id": [x.person.person_id for x in resolution.links],
            "person_bucket": [x.person.bucket for x in resolution.links],
        }
        orders = {"sighting": [self._sequence] * len(resolution.sightings), "link": [x.order for x in resolution.links]}
        for entity, values in ((people["sighting"], sightings), (people["link"], links)):
            batch = self._people_batch(entity, values, orders[entity.name])
            batch = batch.filter(pc.not_equal(batch["person_bucket"], ERASED))  # numbered with them, so that the others keep their numbers
            if batch.num_rows:
                self._append(entity, iter([batch]))

    def _people_batch(self, entity: Entity, values: Mapping[str, list[int]], orders: list[int]) -> pa.RecordBatch:
        n = len(orders)
        lineage = {
            "site": [self._key.site] * n, "_delivery_id": [self._key.delivery_id] * n, "_sequence": orders,
            "_source_file": [self._identity_source] * n, "_row_number": list(range(1, n + 1)), "_landed_at": [self._landed_at] * n,
        }  # fmt: skip
        return pa.RecordBatch.from_pydict({**values, **lineage}, schema=entity.raw_schema())

    def _close(
        self, counted: Mapping[int, int], rows: dict[str, int], versions: dict[str, int], duplicates: Counter[int],
        buckets: set[int], resolution: Resolution,
    ) -> Landing:  # fmt: skip
        quarantined: Counter[int] = Counter()
        for row in self._quarantine:
            quarantined[int(row.file_index or 0)] += row.records
        files = [
            FileCount(
                f.index,
                f.ref,
                f.sha256,
                f.bytes,
                counted[f.index],
                self._landed_by_file[f.index],
                quarantined[f.index],
                duplicates[f.index],
            )
            for f in self._files
        ]
        for file in files:
            if file.counted != file.landed + file.quarantined + file.duplicate:
                raise ConservationError(
                    f"{self._key} {file.ref}: {file.counted} delivered, but {file.landed} landed + {file.quarantined} quarantined"
                    f" + {file.duplicate} duplicate. This is a defect in Biodam; the delivery stays open"
                )
        deliveries = self._workspace.deliveries
        self._note_change(buckets, versions)
        headers = noted_headers(self._spool, without=self._whole_files) | {
            elements_of(kind): names for kind, names in noted_elements(self._spool).items()
        }
        receipt = Receipt(files, rows, versions, self._quarantine, headers, self._withheld)
        deliveries.close_landed(self._key, receipt, rule_version=self._workspace.rule_version)
        totals = {n: sum(getattr(f, n) for f in files) for n in ("landed", "quarantined", "duplicate")}
        return Landing(self._key, DeliveryState.LANDED, sum(f.counted for f in files), **totals, rows=rows, buckets=buckets)

    def _note_change(self, buckets: set[int], versions: Mapping[str, int]) -> None:
        """Oblige the next build to rebuild whom the rows are about, and whom else they touch."""
        workspace = self._workspace
        own = {key: frozenset(f["path"] for f in receipt.files) for key, receipt in self._receipts.items()}
        brought = Brought(versions, own, self._repeated)
        rules = load_rules(self._contract.family)
        try:
            effects = find_effects(workspace.lake, self._contract, rules, self._key, brought)
        except duckdb.Error as error:  # its message may quote a value; rows of earlier deliveries cannot be read
            family = self._contract.family
            raise TornTable(f"raw/{family}: rows of earlier deliveries cannot be read: a file is damaged or gone. {REMEDY}") from error
        people = workspace.vault.people_of(sorted(effects.people | effects.withdrawing))
        workspace.commits.note_moves(effects.moves)
        workspace.commits.note_change(
            self._cause, buckets | ({ref.bucket for ref in people.values()} - {ERASED}), touches_everything=effects.everybody
        )
        if effects.withdrawing and workspace.commits.last_build() is not None:  # of a new lake, nothing has come late
            day = self._landed_at.date().isoformat()
            said = {i: people[person] for person in effects.withdrawing for i in (person, people[person].person_id)}
            workspace.withdrawn.believe(
                {"person_id": i, "person_bucket": ref.bucket, "since": day} for i, ref in said.items() if ref.bucket != ERASED
            )


@dataclass
class _Written:
    """Counts of what one entity's batches held."""

    rows: int = 0
    by_file: Counter[int] = field(default_factory=Counter)
    dropped_by_file: Counter[int] = field(default_factory=Counter)
    buckets: set[int] = field(default_factory=set)

    def add(self, batch: pa.RecordBatch, files: np.ndarray) -> None:
        self.rows += batch.num_rows
        self.by_file.update(_counts(files))
        if "person_bucket" in batch.schema.names:
            self.buckets.update(v for v in batch["person_bucket"].unique().to_pylist() if v is not None)

    def drop(self, files: np.ndarray) -> None:
        self.dropped_by_file.update(_counts(files))


def _counts(files: np.ndarray) -> dict[int, int]:
    values, counts = np.unique(files, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _record_ids(maker: Pseudonymiser, paths: tuple[Path, ...], ranks: np.ndarray | None) -> np.ndarray | None:
    if not maker.has_record_ids:
        return None
    ids = np.empty(sum(batch.num_rows for batch in read_spool(*paths)), np.int64)
    position = 0
    for batch in read_spool(*paths):
        ids[position : position + batch.num_rows] = maker.record_ids(batch).to_numpy()
        position += batch.num_rows
    if maker.rules["record_id"].verb != "key":
        return ids
    if ranks is None:
        return number_repeats(ids)
    order = np.argsort(ranks, kind="stable")
    numbered = np.empty_like(ids)
    numbered[order] = number_repeats(ids[order])
    return numbered


__all__ = ["ConservationError", "Landing", "land", "sha256_of"]
