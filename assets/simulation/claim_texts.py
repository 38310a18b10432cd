"""What both claims agencies write alike: which rows go into a delivery, diagnosis codes as agencies hide them.

Belongs here: text columns of claims that do not depend on the layout. Does not belong here: layouts (`render_nhis`, `render_hira`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.simulation.chunk import Chunk
from assets.simulation.claims import CLINICS, LINE_TYPES, LINES, PRICES
from assets.simulation.clinical import INPATIENT
from assets.simulation.country import SITES
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Array, Flags, Frame, Ints
from assets.simulation.kernels import choose, day_text, either

_HIDDEN = ("claim_masked_code", "claim_truncated_code", "claim_unknown_code")
NAMES = ("가온의원", "나래내과", "다솜병원", "라온가정의학과")
"""Names of institutions: they stand in the delivery and must not pass the door."""


def delivered(chunk: Chunk, frame: Frame, people: Flags) -> Frame:
    """Rows of a frame of claims or of their lines about some people, in order of delivery, with `owner` and `row`.

    `row` is the claim's row; `delivery` that of the claim.
    """
    claim = chunk.claims.claim
    row = frame["claim"] if "claim" in frame.columns else np.arange(len(frame))
    owner, delivery = claim["owner"][row], claim["delivery"][row]
    taken = np.flatnonzero(people[owner])
    taken = taken[np.argsort(delivery[taken], kind="stable")]
    return frame.take(taken).having(owner=owner[taken], delivery=delivery[taken], row=row[taken])


def sick_texts(chunk: Chunk, code: Ints, plant: Ints) -> pa.StringArray:
    """KCD without a dot; masked, cut or unknown where that was planted; null where there is none."""
    kcd = [text.replace(".", "") for text in chunk.codes.conditions["kcd"]]
    options = [*kcd, *(f"{text[:3]}_" for text in kcd), *(text[:3] for text in kcd), *("U99Z" for _ in kcd), None]
    variant = np.zeros(len(code), dtype=np.int64)
    for number, name in enumerate(_HIDDEN, 1):
        variant[plant == NUMBER[name]] = number
    return choose(options, np.where(code < 0, len(options) - 1, code + variant * len(kcd)))


def stated_texts(chunk: Chunk, claim: Frame, ordinal: int) -> pa.StringArray:
    """Main (1) or sub (2) diagnosis as the statement says it: like the diagnosis itself, hidden where that is hidden."""
    diagnosis = chunk.claims.diagnosis
    own = diagnosis.take((diagnosis["ordinal"] == ordinal) & (diagnosis["plant"] != NUMBER["claim_orphan_line"]))
    plant = np.zeros(len(chunk.claims.claim), dtype=np.int64)
    plant[own["claim"]] = own["plant"]
    return sick_texts(chunk, claim["main" if ordinal == 1 else "sub"], plant[claim["source"]])


def compact_days(days: Ints, bad: Flags | None = None) -> pa.StringArray:
    """YYYYMMDD; a day that does not exist where `bad`."""
    text = pc.replace_substring(day_text(days), "-", "")
    return text if bad is None else either(bad, "20250230", text)


def whole(numbers: Array) -> pa.StringArray:
    """Whole numbers as text."""
    return pc.cast(pa.array(numbers.astype(np.int64)), pa.string())


def forms(claim: Frame) -> Ints:
    """0 for outpatient, 1 for inpatient forms."""
    return np.asarray(claim["kind"] == INPATIENT, dtype=np.int64)


def line_columns(frame: Frame) -> dict[str, pa.StringArray]:
    """What both dialects say of a line of treatment: its number and type, EDI code, times, unit price and amount in won."""
    price = PRICES[frame["code"]]
    return {
        "ordinal": whole(frame["ordinal"]),
        "type": choose(LINE_TYPES, frame["code"]),
        "code": choose(LINES, frame["code"]),
        "times": whole(frame["times"]),
        "price": whole(price),
        "amount": whole(price * frame["times"]),
    }


def prescription_columns(frame: Frame, codes: Sequence[str]) -> dict[str, pa.StringArray]:
    """What both dialects say of a prescription at a pharmacy.

    Args:
        frame: Prescriptions.
        codes: EDI code of each drug.
    """
    return {
        "ordinal": whole(frame["ordinal"]),
        "code": choose(codes, frame["code"]),
        "ingredient": choose([f"{edi[3:]}ATB" for edi in codes], frame["code"]),
        "per_day": whole(frame["per_day"]),
        "days": whole(frame["days"]),
        "amount": whole(100 * frame["per_day"] * frame["days"]),
    }


def institutions() -> Frame:
    """All institutions, one row each: clinics and the hospitals."""
    count = CLINICS + len(SITES)
    zero = np.zeros(count, dtype=np.int64)
    return Frame({"clinic": np.arange(count), "owner": zero, "delivery": zero, "plant": zero})
