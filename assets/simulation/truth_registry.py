"""What is true of what the registry says: `truth/registry_facts.parquet`.

Belongs here: one row a diagnosis and a result. Does not belong here: planted errors (`truth`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk
from assets.simulation.errors import is_true
from assets.simulation.kernels import choose
from assets.simulation.registry import DIAGNOSES, RESULTS


def registry_table(chunk: Chunk) -> pa.Table:
    """Person, day, key (of the condition or the result) and, of a result, its value in the standard unit."""
    visit = chunk.registry.visit
    visit = visit.take(is_true(visit["plant"]))
    told, option = np.nonzero(visit["diagnosis"])
    found, place = np.nonzero(~np.isnan(visit["result"]))
    row = np.concatenate([told, found])
    keys = pa.concat_arrays([choose([keys[0] for keys in DIAGNOSES], option), choose(RESULTS, place)])
    value = np.concatenate([np.zeros(len(told)), visit["result"][found, place]])
    return pa.table(
        {
            "person": chunk.people["person"][visit["owner"][row]],
            "date": pa.array(visit["day"][row].astype(np.int32)).cast(pa.date32()),
            "key": keys,
            "value": pa.array(value, mask=np.arange(len(row)) < len(told)),
            "delivery_id": choose(chunk.country.delivery_ids, visit["delivery"][row]),
        }
    )
