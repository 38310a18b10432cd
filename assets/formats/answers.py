"""Cells of a questionnaire that hold no value but say why: a spreadsheet's error, "Do not know", "Prefer not to answer".

Belongs here: the closed list of such texts and what is told of them. Does not belong here: texts that mean nothing at all (`null_values` of a
site), columns and verbs (`tabular`).

Numbers that stand for an answer (-1, -3 in UK Biobank's own coding) are not guessed: a count may be minus one by fault.
Source: error values of spreadsheets are those of ECMA-376 (5th edition, part 1, section 18.17.3) and of the newer array functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

_ERRORS = "#REF! #N/A #VALUE! #DIV/0! #NAME? #NUM! #NULL! #GETTING_DATA #SPILL! #CALC! #FIELD! #BLOCKED! #CONNECT! #UNKNOWN! #BUSY!"

REASONS: Mapping[str, tuple[str, ...]] = {
    "spreadsheet_error": tuple(_ERRORS.lower().split()),
    "do_not_know": ("do not know", "don't know", "dont know", "모름", "모르겠음"),
    "prefer_not_to_answer": ("prefer not to answer", "prefer not to say", "refused to answer", "응답거부", "응답 거부"),
}
"""Why there is no value -> texts that say so, in lower case."""

_REASON_OF = {text: reason for reason, texts in REASONS.items() for text in texts}
_TEXTS = pa.array(sorted(_REASON_OF), pa.string())
_CODING = pa.struct([("system", pa.string()), ("code", pa.string())])


def answered(texts: pa.Array) -> pa.Array:
    """Texts without those that say why there is no value: they are null."""
    return pc.if_else(pc.is_in(pc.utf8_lower(texts), value_set=_TEXTS), pa.scalar(None, pa.string()), texts)


def why_missing(fields: Mapping[str, pa.Array], rows: int) -> pa.Array:
    """What each row does not answer, and why.

    Args:
        fields: Name of a field -> its texts, of length `rows`.
        rows: Number of rows.

    Returns:
        Per row the list of (field as `system`, reason as `code`) in the order of `fields`; null where every field is answered or empty.
    """
    found = [(name, *_reasons(texts)) for name, texts in fields.items()]
    place = pa.concat_arrays([pa.array([], pa.uint64()), *(at for _, at, _ in found)])
    order = pc.array_sort_indices(place)  # stable: fields of a row stay in order
    names = pa.concat_arrays([pa.array([], pa.string()), *(pa.repeat(pa.scalar(name), len(at)) for name, at, _ in found)])
    codes = pa.concat_arrays([pa.array([], pa.string()), *(code for _, _, code in found)])
    told = pa.StructArray.from_arrays([names.take(order), codes.take(order)], fields=list(_CODING))
    counts = [0] * rows
    for counted in pc.value_counts(place).to_pylist():
        counts[counted["values"]] = counted["counts"]
    begin = accumulate(counts[:-1], initial=0) if rows else ()
    offsets = [at if count else None for at, count in zip(begin, counts, strict=True)]
    return pa.ListArray.from_arrays(pa.array([*offsets, len(told)], pa.int32()), told)


def _reasons(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """(rows that say why they hold no value, the reason of each)."""
    encoded = texts.dictionary_encode()
    reasons = pa.array([_REASON_OF.get((text or "").lower()) for text in encoded.dictionary.to_pylist()], pa.string())
    said = reasons.take(encoded.indices)
    at = pc.indices_nonzero(said.is_valid())
    return at, said.take(at)
