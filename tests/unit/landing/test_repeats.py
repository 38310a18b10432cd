"""Rows that say what the row before them about the same record says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from assets.landing import repeats
from assets.landing.repeats import rows_said_twice

CODINGS = pa.list_(pa.struct([("system", pa.string()), ("code", pa.string())]))


def _find(ids: list[int], columns: dict[str, pa.Array], ranks: list[int] | None = None, cut: int = 2) -> list[int]:
    batches = pa.table(columns).to_batches(max_chunksize=cut)
    return rows_said_twice(lambda: batches, list(columns), np.array(ids, np.int64), None if ranks is None else np.array(ranks)).tolist()


def test_a_row_that_says_the_same_as_the_one_before_is_found_and_a_return_to_an_older_state_is_not() -> None:
    #      A B A A A of record 7, another record says A in between
    ids = [7, 7, 9, 7, 7, 7]
    assert _find(ids, {"status": pa.array(["A", "B", "A", "A", "A", "A"])}) == [4, 5]


def test_absent_values_are_alike_and_differ_from_every_value() -> None:
    assert _find([1, 1, 1, 1], {"value": pa.array([None, None, 0.0, None], pa.float64())}) == [1]
    assert _find([1, 1, 2, 2], {"value": pa.array([float("nan")] * 2 + [1.5, 1.5])}) == [1, 3]


def test_lists_of_codes_are_compared_whole() -> None:
    one, other = [{"system": "s", "code": "1"}], [{"system": "s", "code": "2"}]
    assert _find([1, 1, 1, 2, 2], {"codes": pa.array([one, one, other, None, None], CODINGS)}) == [1, 4]


def test_every_column_counts() -> None:
    assert _find([1, 1, 1], {"a": pa.array(["x"] * 3), "b": pa.array([1, 2, 2])}) == [2]


def test_rows_of_a_file_set_aside_come_after_all_others() -> None:
    # in the order of ranks the record says A (row 1), A (row 2), B (row 0)
    assert _find([1, 1, 1], {"a": pa.array(["B", "A", "A"])}, ranks=[1, 0, 0]) == [2]


def test_many_rows_are_compared_in_shares_and_the_same_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(3)
    ids, says = draw.integers(0, 40, 500).tolist(), pa.array(draw.integers(0, 2, 500).tolist())
    whole = _find(ids, {"a": says}, cut=64)
    newest: dict[int, int] = {}
    expected = [
        row
        for row, (record, value) in enumerate(zip(ids, says.to_pylist(), strict=True))
        if (newest.get(record), newest.update({record: value}))[0] == value
    ]
    assert whole == expected
    monkeypatch.setattr(repeats, "MOST_ROWS", 60)
    assert _find(ids, {"a": says}, cut=64) == expected


def test_nothing_is_repeated_where_every_record_is_new() -> None:
    assert _find([1, 2, 3], {"a": pa.array(["x", "x", "x"])}) == []
