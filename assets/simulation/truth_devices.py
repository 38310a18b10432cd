"""What is true about wearables and images: `truth/points.parquet` and `truth/images.parquet`.

Belongs here: one row a data point and one a series. Does not belong here: planted errors (`truth`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk
from assets.simulation.devices import BLOOD_PRESSURE, BODY_PARTS, MEASURES, MODALITIES
from assets.simulation.errors import NUMBER
from assets.simulation.kernels import choose

_UNITS = ("beats/min", "mm[Hg]", "kg", "steps", "mg/dL")


def points_table(chunk: Chunk) -> pa.Table:
    """Person, measure, Korean wall clock, value in the standard unit; of a blood pressure both values."""
    frame = chunk.points.take(chunk.points["plant"] == 0)
    measure = frame["measure"]
    return pa.table(
        {
            "person": chunk.people["person"][frame["owner"]],
            "delivery_id": choose(chunk.country.delivery_ids, frame["delivery"]),
            "measure": choose(MEASURES, measure),
            "measured_at_kst": pa.array(frame["minute"] * 60_000_000).cast(pa.timestamp("us")),
            "value": frame["value"].astype(np.float64),
            "second_value": pa.array(frame["value2"], mask=measure != BLOOD_PRESSURE),
            "unit": choose(_UNITS, measure),
            "is_in_other_unit": frame["other_unit"],
            "utc_offset_minutes": frame["offset"],
        }
    )


def images_table(chunk: Chunk) -> pa.Table:
    """One row a series: person, day, modality, instances, and whether pixels may show a name."""
    sound = chunk.images.take(np.isin(chunk.images["plant"], (0, NUMBER["image_burned_in"])))
    _, first, count = np.unique(sound["series"], return_index=True, return_counts=True)
    frame = sound.take(first)
    return pa.table(
        {
            "person": chunk.people["person"][frame["owner"]],
            "series_date": pa.array(frame["day"].astype(np.int32)).cast(pa.date32()),
            "modality": choose(MODALITIES, frame["modality"]),
            "body_part": choose(BODY_PARTS, frame["part"]),
            "instance_count": count,
            "has_burned_in_annotation": frame["plant"] != 0,
        }
    )
