"""When each record of a delivery landed.

Belongs here: telling it from the quarantine. Does not belong here: what is done with it (`again`, `restoring`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from assets.formats.reasons import Reason

OPEN = 2**31
"""Rank of rows that are still held back: after every row that has landed."""


def is_held(entry: Mapping[str, Any]) -> bool:
    """Does a quarantine entry wait for the consent of its people?"""
    return bool(entry["reason"] == Reason.PERSON_WITHDRAWN)


class Ranks:
    """When each record of a delivery landed: 0 at first, n with the n-th replay, `OPEN` not yet.

    Of a record that is held since its people withdrew, rows of entities that land all the same (`always`) landed before.
    """

    def __init__(self, history: Iterable[Mapping[str, Any]], now: Mapping[int, int], *, always: bool) -> None:
        self._files: dict[int, int] = {}
        self._rows: dict[int, dict[int, int]] = {}
        for entry in history:
            if always and is_held(entry):
                continue
            rank = now.get(entry["id"], OPEN if entry["replay"] is None else entry["replay"])
            if entry["row_number"] is None:
                self._files[entry["file_index"]] = rank
            else:
                self._rows.setdefault(entry["file_index"], {})[entry["row_number"]] = rank

    def of(self, batch: pa.RecordBatch) -> np.ndarray:
        """Rank of each row of a spooled batch."""
        files, numbers = batch["_file"].to_numpy(), batch["_row_number"].to_numpy()
        ranks = np.zeros(batch.num_rows, np.int64)
        for index in np.unique(files).tolist():
            here = files == index
            ranks[here] = self._files.get(index, 0)
            rows = self._rows.get(index)
            if rows:
                places = np.flatnonzero(here & np.isin(numbers, np.fromiter(rows, np.int64, len(rows))))
                ranks[places] = [rows[n] for n in numbers[places].tolist()]
        return ranks
