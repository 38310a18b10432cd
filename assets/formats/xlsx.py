"""XLSX -> Arrow: one sheet of a workbook is one table.

Belongs here: rows of a sheet, its header, cells that cannot be read. Does not belong here: the package (`xlsx_guard`), what cells say (`cells`),
columns (`tabular`), which sheet is which table (`assets/landing/job`).

The library reads a sheet whole: memory follows its cells, which a sheet has at most 1,048,576 rows of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import python_calamine as calamine

from assets.formats.cells import Merged, carry_down, has_lost_digits, header_names, is_said, text_of
from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import Fault, FileRefused, Reason
from assets.formats.spool import Rejection, Spool
from assets.formats.tabular import TableReader, Texts
from assets.formats.text import null_texts, said
from assets.formats.xlsx_guard import check_workbook

_BATCH_ROWS = 8_192
_NO_SHEET = "the workbook does not tell its sheets"

Row = tuple[int, list[Any]]
"""Number of a row in the sheet, from 0, and its cells from the first column that holds anything."""


@dataclass
class _Sheet:
    """A sheet whose header is read."""

    file: SourceFile
    reader: TableReader
    columns: dict[str, int]
    errors: frozenset[tuple[int, int]]
    left: int
    errors_are_null: bool
    carried: dict[str, str | None] = field(default_factory=dict)


class XlsxReader:
    """Reads sheets of workbooks into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Read the options of the feed."""
        self._job, self._spool, self._progress = job, spool, progress
        self._faults = Faults(job)
        self._nulls = null_texts(job.options.get("null_values"))

    def read(self, file: SourceFile) -> None:
        """Read one sheet.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        self._job.plan_of(file)
        facts = check_workbook(file.path, file.sheet or "", self._job.limits)
        self._progress.block(file.index, 1)
        cells = _open(file)
        layout = self._job.options.get("layouts", {}).get(file.entity, {})
        rows = enumerate(cells.iter_rows())
        left = cells.start[1] if cells.start else 0
        names = _names(rows, layout.get("header_rows") or [], _shifted(cells.merged_cell_ranges or [], left))
        reader = TableReader(self._job, file, names)
        if missing := [name for name in layout.get("carry_down", ()) if name not in names]:
            raise FileRefused(Reason.HEADER_MISMATCH, f"carry_down names what is not there: {', '.join(missing)}", rule="carry_down")
        sheet = _Sheet(
            file, reader, {name: names.index(name) for name in reader.needed}, facts.errors, left, layout.get("cell_errors") == "null",
            dict.fromkeys(layout.get("carry_down", ())),
        )  # fmt: skip
        self._records(sheet, rows)

    def _records(self, sheet: _Sheet, rows: Iterator[Row]) -> None:
        with_errors = {row for row, _ in sheet.errors}
        records = (row for row in rows if row[0] in with_errors or any(map(is_said, row[1])))
        first = 1
        while block := list(islice(records, _BATCH_ROWS)):
            self._guard(sheet, block, first)
            first += len(block)

    def _guard(self, sheet: _Sheet, block: Sequence[Row], first: int) -> None:
        """Read a block, record by record where an earlier run died."""
        file = sheet.file.index
        self._progress.block(file, first)
        if not self._faults.careful(file, first):
            self._trip(block)
            self._write(sheet, block, first)
            return
        for number, row in enumerate(block, first):
            if reason := self._faults.skipped(file, number):
                self._spool.reject(file, [Rejection(number, reason, None, _where(row))])
            else:
                self._progress.record(file, number)
                self._trip([row])
                self._write(sheet, [row], number)

    def _trip(self, block: Sequence[Row]) -> None:
        if self._faults.hooked:
            self._faults.trip(repr(block).encode())

    def _write(self, sheet: _Sheet, block: Sequence[Row], first: int) -> None:
        own: dict[int, Fault] = {}
        texts = {name: self._column(sheet, name, block, own) for name in sheet.columns}
        arrays, faults = sheet.reader.read(Texts(texts, len(block)))
        faults = {**faults, **own}
        numbers = range(first, first + len(block))
        rejections = self._spool.write_rows(str(sheet.file.entity), sheet.file.index, arrays, numbers, faults)
        self._spool.reject(sheet.file.index, [_placed(r, block[r.row_number - first]) for r in rejections])

    def _column(self, sheet: _Sheet, name: str, block: Sequence[Row], faults: dict[int, Fault]) -> pa.Array:
        at = sheet.columns[name]
        cells = [row[1][at] for row in block]
        for place, cell in enumerate(cells):
            if has_lost_digits(cell):
                faults.setdefault(place, Fault(Reason.INVALID_TYPE, name, "has lost digits: long numbers must be stored as text"))
        if sheet.errors and not sheet.errors_are_null:
            for place, row in enumerate(block):
                if (row[0], at + sheet.left) in sheet.errors:
                    faults.setdefault(place, Fault(Reason.CELL_ERROR, name))
        texts = said(pa.array([text_of(cell) for cell in cells], pa.string()), self._nulls)
        if name in sheet.carried:
            filled, sheet.carried[name] = carry_down(texts.to_pylist(), sheet.carried[name])
            texts = pa.array(filled, pa.string())
        return texts


def _open(file: SourceFile) -> calamine.CalamineSheet:
    if file.sheet is None:
        raise FileRefused(Reason.NOT_XLSX, _NO_SHEET)
    try:
        return calamine.CalamineWorkbook.from_path(file.path).get_sheet_by_name(file.sheet)
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise FileRefused(Reason.NOT_XLSX, f"the sheet cannot be read: {type(error).__name__}") from None


def _shifted(merged: Merged, left: int) -> Merged:
    """Merged ranges with columns counted from the first that holds anything."""
    return [((a, max(b - left, 0)), (c, d - left)) for (a, b), (c, d) in merged if d >= left]


def _names(rows: Iterator[Row], wanted: Sequence[int], merged: Merged) -> list[str]:
    """Take the rows of the header off the iterator; what stands above them is passed over.

    Raises:
        FileRefused: The sheet ends before.
    """
    if not wanted:
        for number, cells in rows:
            if any(map(is_said, cells)):
                return header_names([cells], _below(merged, number, number))
        raise FileRefused(Reason.EMPTY_FILE, "no row, not even a header")
    first, last = min(wanted) - 1, max(wanted) - 1
    taken = []
    for number, cells in rows:
        if number >= first:
            taken.append(cells)
        if number == last:
            return header_names(taken, _below(merged, first, last))
    raise FileRefused(Reason.HEADER_MISMATCH, f"the sheet ends above row {last + 1}, where its header is said to stand", rule="header_rows")


def _below(merged: Merged, first: int, last: int) -> Merged:
    """Merged ranges that begin in the header, rows counted from its first."""
    return [((a - first, b), (c - first, d)) for (a, b), (c, d) in merged if first <= a <= last]


def _where(row: Row) -> str:
    return f"row {row[0] + 1} of the sheet"


def _placed(rejection: Rejection, row: Row) -> Rejection:
    detail = f"{rejection.detail}; {_where(row)}" if rejection.detail else _where(row)
    return Rejection(rejection.row_number, rejection.reason, rejection.rule, detail)
