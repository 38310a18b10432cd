"""Rows of a few people taken out of a table, by writing anew the files that hold them.

Belongs here: finding those files and the one commit that swaps them. Does not belong here: whose rows (`assets/erasure`), old files.

No delete predicate is used: it would write the numbers to the log (DESIGN section 3). Rows that stay keep their columns and order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from assets.lake.commits import CommitReceipt
from assets.lake.files import complete_columns
from assets.lake.paths import Lake
from assets.lake.writer import TableWriter, Write

LINEAGE = ("site", "_delivery_id", "_source_file", "_row_number")
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class HitFile:
    """One live file that holds rows to be taken out."""

    path: str
    partition: Mapping[str, str]
    bytes: int


@dataclass
class Hits:
    """What a table holds of some people.

    Attributes:
        files: Live files that hold rows of theirs.
        rows: Rows.
        places: (site, delivery id, source file) -> rows; only of raw tables.
        numbers: The same -> numbers of the records in the file.
    """

    files: list[HitFile] = field(default_factory=list)
    rows: int = 0
    places: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    numbers: dict[tuple[str, str, str], set[int]] = field(default_factory=dict)


def person_columns(schema: pa.Schema) -> list[str]:
    """Columns that hold person ids."""
    return [f.name for f in schema if f.name.endswith("person_id") and pa.types.is_int64(f.type)]


def find_rows(lake: Lake, table_key: str, ids: Collection[int]) -> Hits:
    """Rows of these people in the newest version of a table; a table without a column of people has none."""
    hits = Hits()
    for file in _live(lake, table_key):
        path = lake.table(table_key) / file.path
        with pq.ParquetFile(path) as parquet:
            columns = person_columns(parquet.schema_arrow)
            if not columns:
                continue
            lineage = [n for n in LINEAGE if n in parquet.schema_arrow.names]
            batches = parquet.iter_batches(batch_size=_BATCH_ROWS, columns=[*columns, *lineage])
            kept = [batch.filter(_mask(batch, columns, ids)) for batch in batches]
        if any(batch.num_rows for batch in kept):
            found = pa.Table.from_batches(kept)
            hits.files.append(file)
            hits.rows += found.num_rows
            _note_places(hits, found, file)
    return hits


def holds_person(path: Path, ids: Collection[int]) -> bool:
    """Whether a data file has a row of one of these people."""
    with pq.ParquetFile(path) as parquet:
        columns = person_columns(parquet.schema_arrow)
        batches = parquet.iter_batches(batch_size=_BATCH_ROWS, columns=columns) if columns else ()
        return any(pc.any(_mask(batch, columns, ids)).as_py() for batch in batches)


def cut_rows(lake: Lake, table_key: str, files: Sequence[HitFile], ids: Collection[int], write: Write) -> CommitReceipt:
    """Write these files anew without rows of these people, in one commit.

    A kill leaves either the old files or the new ones. The old files stay on disk until they are taken away.

    Raises:
        TornTable: The table is behind the ledger.
    """
    return _Cut(lake, table_key, write).cut(files, ids)


class _Cut(TableWriter):
    """One cut; use it once."""

    def cut(self, files: Sequence[HitFile], ids: Collection[int]) -> CommitReceipt:
        self._open()
        assert self._table is not None
        schema = pa.schema(self._table.schema().to_arrow())
        ordered = sorted(files, key=lambda f: (sorted(f.partition.items()), f.path))
        rows = _kept(self._folder, ordered, schema, ids)
        written = self._files(pa.RecordBatchReader.from_batches(schema, rows), schema)
        now = int(time.time() * 1000)
        self._removes = [RemoveAction(f.path, True, now, f.bytes, dict(f.partition)) for f in files]
        return self._commit(written, schema, "append")


def _live(lake: Lake, table_key: str) -> Iterator[HitFile]:
    table = DeltaTable(str(lake.table(table_key)))
    columns = table.metadata().partition_columns
    for row in pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all().to_pylist():
        yield HitFile(unquote(row["path"]), {c: str(row[f"partition.{c}"]) for c in columns}, int(row["size_bytes"]))


def _mask(table: pa.Table | pa.RecordBatch, columns: Sequence[str], ids: Collection[int]) -> Any:
    wanted = pa.array(sorted(ids), pa.int64())
    mask = pc.is_in(table[columns[0]], wanted)
    for name in columns[1:]:
        mask = pc.or_(mask, pc.is_in(table[name], wanted))
    return mask


def _note_places(hits: Hits, found: pa.Table, file: HitFile) -> None:
    if "_delivery_id" not in found.column_names:
        return
    sites = found["site"].to_pylist() if "site" in found.column_names else [file.partition["site"]] * found.num_rows
    columns = (found["_delivery_id"].to_pylist(), found["_source_file"].to_pylist(), found["_row_number"].to_pylist())
    for site, delivery, ref, number in zip(sites, *columns, strict=True):
        hits.places[site, delivery, ref] += 1
        hits.numbers.setdefault((site, delivery, ref), set()).add(number)


def _kept(folder: Path, files: Sequence[HitFile], schema: pa.Schema, ids: Collection[int]) -> Iterator[pa.RecordBatch]:
    for file in files:
        with pq.ParquetFile(folder / file.path) as parquet:
            for batch in parquet.iter_batches(batch_size=_BATCH_ROWS):
                kept = batch.filter(pc.invert(_mask(batch, person_columns(batch.schema), ids)))
                if kept.num_rows:
                    yield complete_columns(kept, file.partition, schema)
