"""Rows of one delivery that say the same as the row before them about the same record.

Belongs here: comparing rows as columns. Does not belong here: record ids (`identify`), what becomes of such rows (`land`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.landing.identify import repeated_rows

MOST_ROWS = 250_000
"""Rows compared at a time; of more, another share of the records is compared in another pass. Bounds memory."""


def rows_said_twice(
    read: Callable[[], Iterable[pa.RecordBatch]], columns: Sequence[str], ids: np.ndarray, ranks: np.ndarray | None,
    *, suspects: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Find them. A row that returns to what an older one said (A, B, A) is a new version: it is none of them.

    Args:
        read: Gives the rows, as often as asked.
        columns: What is compared.
        ids: Record id of each row.
        ranks: Order in which rows of one record are compared, before their place; None: by place alone.
        suspects: Places of all rows whose id occurs more than once, where the caller knows them.

    Returns:
        Their places, ascending, int64.
    """
    suspects = repeated_rows(ids) if suspects is None else suspects
    shares = len(suspects) // MOST_ROWS + 1
    found = [suspects[:0]]
    for share in range(shares if len(suspects) else 0):
        places = suspects[ids[suspects] % shares == share]
        if len(places):
            found.append(_said_twice(_taken(read(), columns, places), places, ids, ranks))
    return np.sort(np.concatenate(found))


def _said_twice(rows: pa.Table, places: np.ndarray, ids: np.ndarray, ranks: np.ndarray | None) -> np.ndarray:
    order = np.lexsort((places, places if ranks is None else ranks[places], ids[places]))
    ordered, records = rows.take(pa.array(order)), ids[places[order]]
    same = records[1:] == records[:-1]
    for column in ordered.columns:
        if not same.any():
            break
        same &= _equals_row_before(column.combine_chunks())
    said: np.ndarray = places[order[1:][same]]
    return said


def _taken(batches: Iterable[pa.RecordBatch], columns: Sequence[str], places: np.ndarray) -> pa.Table:
    """Rows at these places."""
    found: list[pa.RecordBatch] = []
    position = 0
    for batch in batches:
        first, behind = np.searchsorted(places, (position, position + batch.num_rows))
        found.append(batch.select(columns).take(pa.array(places[first:behind] - position)))
        position += batch.num_rows
    return pa.Table.from_batches(found).combine_chunks()


def _equals_row_before(column: pa.Array) -> np.ndarray:
    """For each row but the first: does it hold the value, or the absence of one, that the row before it holds?"""
    later, earlier = column.slice(1), column.slice(0, len(column) - 1)
    if pa.types.is_nested(column.type):
        texts = [repr(value) for value in column.to_pylist()]
        return np.array([a == b for a, b in pairwise(texts)], bool)
    equal = pc.fill_null(pc.equal(later, earlier), False)
    both_null = pc.and_(pc.is_null(later, nan_is_null=True), pc.is_null(earlier, nan_is_null=True))
    found: np.ndarray = pc.or_(equal, both_null).to_numpy(zero_copy_only=False)
    return found
