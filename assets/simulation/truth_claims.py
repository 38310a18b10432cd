"""What is true about claims: `truth/claims.parquet`.

Belongs here: one row a claim in its final form, and each claim filed after death. Does not belong here: planted errors (`truth`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from assets.simulation import render_hira, render_nhis
from assets.simulation.chunk import Chunk
from assets.simulation.clinical import INPATIENT
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Frame, Ints
from assets.simulation.kernels import choose, either


def claims_table(chunk: Chunk) -> pa.Table:
    """Person, day, codes, money in won, counts of what hangs on the claim, and its number at each agency that has it."""
    every = chunk.claims.claim
    row = np.flatnonzero(every["true"] | (every["plant"] == NUMBER["claim_after_death"]))
    claim = every.take(row)
    at_nhis = chunk.claims.linked[claim["owner"]]
    at_hira = at_nhis & chunk.claims.sampled[claim["owner"]]
    kcd = [text.replace(".", "") for text in chunk.codes.conditions["kcd"]]
    columns: dict[str, Any] = {
        "person": chunk.people["person"][claim["owner"]],
        "a11_claim": either(at_nhis, render_nhis.key_texts(chunk, row), None),
        "a12_claim": either(at_hira, render_hira.key_texts(chunk, row), None),
        "delivery_id": choose(chunk.country.delivery_ids, claim["delivery"]),
        "started_date": pa.array(claim["day"].astype(np.int32)).cast(pa.date32()),
        "ended_date": pa.array((claim["day"] + claim["days"] - 1).astype(np.int32)).cast(pa.date32()),
        "is_inpatient": claim["kind"] == INPATIENT,
        "main_kcd": choose([*kcd, None], np.where(claim["main"] < 0, len(kcd), claim["main"])),
        "claimed_total_won": claim["claimed"],
        "claimed_patient_won": claim["claimed_patient"],
        "adjudicated_total_won": claim["adjudicated"],
        "adjudicated_patient_won": claim["adjudicated_patient"],
        "is_after_death": ~claim["true"],
    }
    for name in ("diagnosis", "line", "prescription"):
        columns[f"{name}_count"] = _counts(getattr(chunk.claims, name), len(every))[row]
    return pa.table(columns)


def _counts(frame: Frame, claims: int) -> Ints:
    """True records of each claim: those that neither are damaged copies nor belong to none."""
    damaged = [NUMBER[f"claim_{kind}"] for kind in ("orphan_line", "ragged", "encoding")]
    return np.bincount(frame["claim"][~np.isin(frame["plant"], damaged)], minlength=claims).astype(np.int64)
