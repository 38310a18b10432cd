"""What is true about samples: `truth/biobank_samples.parquet`.

Belongs here: one row a sample that lands, with what a lake should find wrong with it. Does not belong here: planted errors (`truth`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from assets.simulation.biobank import DNA, SAMPLE_TYPES, Biobank
from assets.simulation.chunk import Chunk
from assets.simulation.clinical import DAY_MINUTES
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Frame
from assets.simulation.kernels import choose, either
from assets.simulation.render_lims import sample_texts

_NOT_LANDED = ("lims_duplicate", "lims_bad_date", "lims_missing_person", "lims_ragged")


def samples_table(chunk: Chunk, bank: Biobank) -> pa.Table:
    """Person, barcodes, amounts left in uL or ug, and the finding that was planted."""
    aliquot = bank.aliquot.take(~np.isin(bank.aliquot["plant"], [NUMBER[k] for k in _NOT_LANDED]))
    parts = [_table(chunk, bank, bank.specimen, "S", "specimen"), _table(chunk, bank, aliquot, "A", "aliquot")]
    return pa.concat_tables(parts)


def _table(chunk: Chunk, bank: Biobank, frame: Frame, kind: str, name: str) -> pa.Table:
    count = len(frame)
    gone = bank.disposal.take(bank.disposal["of_specimen"] == (kind == "S"))["sample"]
    withdrawn = bank.withdrawn[frame["owner"]]
    finding = np.where(frame["plant"] == NUMBER["lims_volume_off"], 1, np.where(frame["plant"] == NUMBER["lims_unknown_parent"], 2, 0))
    dna = frame["type"] == DNA
    columns: dict[str, Any] = {
        "person": chunk.people["person"][frame["owner"]],
        "sample_number": sample_texts(chunk, frame["id"], kind),
        "sample_kind": pa.array([name] * count, pa.string()),
        "sample_type": choose(SAMPLE_TYPES, frame["type"]),
        "delivery_id": choose(chunk.country.delivery_ids, frame["delivery"]),
        "made_date": pa.array((frame["minute"] // DAY_MINUTES).astype(np.int32)).cast(pa.date32()),
        "left_volume_ul": pa.array(frame["left"], pa.int64(), mask=dna),
        "left_mass_ug": pa.array(frame["left"], pa.int64(), mask=~dna),
        "is_disposed": np.isin(frame["id"], gone),
        "withdrawn_date": pa.array(withdrawn.astype(np.int32), mask=withdrawn >= NEVER).cast(pa.date32()),
        "finding": choose((None, "amount_not_conserved", "parent_unknown"), finding),
        "is_position_twice": either(frame["plant"] == NUMBER["lims_position_twice"], "true", "false").cast(pa.bool_()),
    }
    return pa.table(columns)
