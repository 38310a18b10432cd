"""SipHash over columns: the vectors of its authors, and the function with which the first lakes were made."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from assets.privacy.siphash import hash_strings, siphash

KEY = "0123456789abcdef"

VECTORS = {
    0: 0x726FDB47DD0E0E31,
    1: 0x74F839C593DC67FD,
    7: 0xAB0200F58B01D137,
    8: 0x93F5F5799A932462,
    15: 0xA129CA6149BE45E5,
    63: 0x958A324CEB064572,
}
"""Length n -> SipHash-2-4 of the bytes 0, 1 ... n-1 under the key 0, 1 ... 15 (`vectors.h` of the reference implementation)."""


def by_pandas(values: list[str]) -> np.ndarray:
    return pd.util.hash_array(np.array(values, object), hash_key=KEY, categorize=False)


@pytest.mark.parametrize("length", VECTORS)
def test_vector_of_the_authors(length: int) -> None:
    value = pa.array([bytes(range(length))], pa.binary())
    assert siphash(value, bytes(range(16))).tolist() == [VECTORS[length]]


def test_every_surrogate_is_the_one_that_pandas_made() -> None:
    """Lakes hold them: lengths around a word, Korean text, more values than are hashed together."""
    draw = random.Random(5)
    values = ["", "a", "7654321", "87654321", "환자", "x" * 300, *("9" * draw.randrange(40) + str(n) for n in range(40_000))]
    assert (hash_strings(pa.array(values), KEY.encode()) == by_pandas(values)).all()


def test_part_of_a_column_is_hashed_as_the_whole() -> None:
    values = [f"{n}" * (n % 5) for n in range(100)]
    assert hash_strings(pa.array(values).slice(17, 50), KEY.encode()).tolist() == by_pandas(values[17:67]).tolist()


def test_empty_column_gives_nothing() -> None:
    assert len(hash_strings(pa.array([], pa.string()), KEY.encode())) == 0
