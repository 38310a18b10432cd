"""Numbers and comparators out of columns of text.

Belongs here: what a measured value looks like. Does not belong here: which field holds it (`hl7_values`), times (`hl7_times`).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.formats.hl7_arrays import arrow_mask, places_of, span_of

_MEASURED = r"^\s*(?P<comparator><=|>=|<|>)?\s*\+?(?P<number>-?(?:\d{1,300}\.?\d*|\.\d+))\s*$"
_NUMERIC = np.zeros(256, bool)
_NUMERIC[list(b"0123456789.-")] = True
_NONE = pa.scalar(None, pa.string())


class Measured:
    """Numbers and comparators of texts such as `<0.5`, whose odd ones are told apart once for both.

    Attributes:
        numbers: float64; null where a text is no number.
        comparators: Text; null where a number stands alone.
    """

    def __init__(self, texts: pa.Array) -> None:
        letters, starts, lengths = span_of(texts)
        odd = np.zeros(len(texts), bool)
        if texts.null_count < len(texts):
            first, last = int(starts[0]), int(starts[-1] + lengths[-1])
            strange = places_of(~_NUMERIC[letters[first:last]]) + first
            owner = np.searchsorted(starts, strange, side="right") - 1
            odd[owner[strange < starts[owner] + lengths[owner]]] = True
        self._texts, self._is_odd, self._any = texts, arrow_mask(odd), bool(odd.any())

    @cached_property
    def numbers(self) -> pa.Array:
        """See above."""
        try:
            plain = (pc.if_else(self._is_odd, _NONE, self._texts) if self._any else self._texts).cast(pa.float64())
        except pa.ArrowInvalid:  # 1-2, or 1.2.3
            every = arrow_mask(np.ones(len(self._texts), bool))
            return _taken_apart(self._texts, every, "number").cast(pa.float64())
        return pc.replace_with_mask(plain, self._is_odd, self._part("number").cast(pa.float64())) if self._any else plain

    @cached_property
    def comparators(self) -> pa.Array:
        """See above."""
        none = pa.nulls(len(self._texts), pa.string())
        return pc.replace_with_mask(none, self._is_odd, self._part("comparator")) if self._any else none

    def _part(self, name: str) -> pa.Array:
        return _taken_apart(self._texts, self._is_odd, name)


def _taken_apart(texts: pa.Array, chosen: pa.Array, part: str) -> pa.Array:
    """Part of the chosen texts by pattern: ten times as slow as a cast, and few texts need it."""
    found = pc.struct_field(pc.extract_regex(texts.filter(chosen), _MEASURED), part)
    return pc.if_else(pc.equal(found, ""), _NONE, found)
