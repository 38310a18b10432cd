"""SipHash-2-4 of whole columns, by NumPy.

Belongs here: the function and the mixing after it. Does not belong here: keys, what is hashed (`pseudonyms`).

SipHash-2-4 is a keyed pseudo-random function (Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF"). Its result is mixed once more
by the finaliser of SplitMix64 (Steele, Lea and Flood 2014), a bijection: that is `pandas.util.hash_array`, with which the first lakes were
made, and no surrogate may ever change. All values advance together, one 64-bit word of each at a time: half the CPU of hashing them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

_WORDS = 16_384
"""Values hashed together: the state of so many stays in the processor's cache, and the calls into NumPy weigh nothing."""

_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_U64 = np.uint64


def hash_strings(values: pa.Array, key: bytes) -> np.ndarray:
    """Hash a column.

    Args:
        values: Strings or binaries with 32-bit offsets. What a null hashes to has no meaning.
        key: 16 bytes.

    Returns:
        uint64 of the same length: SipHash-2-4 of the UTF-8 bytes, mixed.
    """
    out = np.empty(len(values), np.uint64)
    for at, digest in _siphash(values, key):
        out[at] = _mixed(digest)
    return out


def siphash(values: pa.Array, key: bytes) -> np.ndarray:
    """SipHash-2-4 alone; arguments as for `hash_strings`."""
    out = np.empty(len(values), np.uint64)
    for at, digest in _siphash(values, key):
        out[at] = digest
    return out


def _siphash(values: pa.Array, key: bytes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(positions, their hashes), so many at a time; values of as many words together."""
    if not len(values):
        return
    words, starts, lengths = _words_of(values)
    whole = lengths >> 3
    ends = np.bincount(whole)
    places = np.argsort(whole, kind="stable") if np.count_nonzero(ends) > 1 else np.arange(len(values))
    begun = 0
    for blocks, count in enumerate(ends.tolist()):
        for start in range(begun, begun + count, _WORDS):
            at = places[start : min(start + _WORDS, begun + count)]
            yield at, _together(words, starts[at], lengths[at], blocks, key)
        begun += count


def _words_of(values: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(the 64-bit word that begins at each byte, where each value begins, its length)."""
    _, offsets_buffer, data_buffer = values.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32, len(values) + 1, 4 * values.offset).astype(np.int64)
    size = int(offsets[-1] - offsets[0])
    data = np.zeros(size + 8, np.uint8)
    if size:
        data[:size] = np.frombuffer(data_buffer, np.uint8, size, int(offsets[0]))
    words: np.ndarray = np.ndarray((size + 1,), "<u8", data.data, 0, (1,))
    return words, offsets[:-1] - offsets[0], np.diff(offsets)


def _together(words: np.ndarray, starts: np.ndarray, lengths: np.ndarray, blocks: int, key: bytes) -> np.ndarray:
    """Hashes of values that hold as many whole words each."""
    low, high = np.frombuffer(key, "<u8").tolist()
    state = [np.full(len(starts), start ^ half, np.uint64) for start, half in zip(_START, (low, high, low, high), strict=True)]
    spare = np.empty(len(starts), np.uint64)
    for block in range(blocks):
        _take_in(state, words[starts + 8 * block], spare)
    rest = (lengths & 7).astype(np.uint64) * _U64(8)
    last = words[starts + 8 * blocks] & ((_U64(1) << rest) - _U64(1))
    _take_in(state, last | (lengths.astype(np.uint64) << _U64(56)), spare)
    state[2] ^= _U64(0xFF)
    for _ in range(4):
        _round(state, spare)
    digest: np.ndarray = state[0] ^ state[1] ^ state[2] ^ state[3]
    return digest


def _take_in(state: list[np.ndarray], word: np.ndarray, spare: np.ndarray) -> None:
    state[3] ^= word
    _round(state, spare)
    _round(state, spare)
    state[0] ^= word


def _round(state: list[np.ndarray], spare: np.ndarray) -> None:
    """SipRound: two half rounds of add, rotate, xor."""
    v0, v1, v2, v3 = state
    for (a, b, by), (c, d, other) in (((v0, v1, 13), (v2, v3, 16)), ((v2, v1, 17), (v0, v3, 21))):
        a += b
        _rotate(b, by, spare)
        b ^= a
        _rotate(a, 32, spare)
        c += d
        _rotate(d, other, spare)
        d ^= c


def _rotate(values: np.ndarray, by: int, spare: np.ndarray) -> None:
    np.left_shift(values, _U64(by), out=spare)
    np.right_shift(values, _U64(64 - by), out=values)
    values |= spare


def _mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser, in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> _U64(shift)
        values *= _U64(factor)
    values ^= values >> _U64(31)
    return values
