"""Tables of hospital h13 that are about nobody: locations, care sites, providers and the description of the CDM, sent once.

Belongs here: OMOP CDM 5.4 tables without a person. Does not belong here: records of patients (`render_omop`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.clinical import DEPARTMENTS
from assets.simulation.frame import Frame
from assets.simulation.identities import PROVINCES


def fixed_files(chunk: Chunk) -> list[Rendered]:
    """Locations, care sites, providers and the description of the CDM, sent once."""
    country = pa.array(["대한민국"] * len(PROVINCES))
    location = pa.table(
        {
            "location_id": pa.array(range(1, len(PROVINCES) + 1), pa.int64()),
            "state": pa.array(PROVINCES),
            "country_source_value": country,
        }
    )
    sites = range(1, len(DEPARTMENTS) + 1)
    care_site = pa.table(
        {
            "care_site_id": pa.array(sites, pa.int64()),
            "care_site_name": pa.array([f"모의병원 {d}" for d in DEPARTMENTS]),
            "place_of_service_concept_id": pa.array([0] * len(DEPARTMENTS), pa.int64()),
            "location_id": pa.array([1] * len(DEPARTMENTS), pa.int64()),
            "place_of_service_source_value": pa.array(DEPARTMENTS),
        }
    )
    doctors = [chunk.names["roman"][i % len(chunk.names)].as_py() for i in range(40)]
    provider = pa.table(
        {
            "provider_id": pa.array(range(1, 41), pa.int64()),
            "provider_name": pa.array(doctors),
            "specialty_concept_id": pa.array([0] * 40, pa.int64()),
            "care_site_id": pa.array([1 + i % len(DEPARTMENTS) for i in range(40)], pa.int64()),
            "gender_concept_id": pa.array([8507, 8532] * 20, pa.int64()),
            "specialty_source_value": pa.array([DEPARTMENTS[i % len(DEPARTMENTS)] for i in range(40)]),
        }
    )
    source = pa.table(
        {
            "cdm_source_name": ["Simulated hospital h13"],
            "cdm_source_abbreviation": ["SIM13"],
            "cdm_holder": ["Biodam simulation"],
            "cdm_version": ["v5.4"],
            "vocabulary_version": ["none"],
        }
    )
    tables = {"location": location, "care_site": care_site, "provider": provider, "cdm_source": source}
    return [_listed(name, table) for name, table in tables.items()]


def _listed(name: str, table: pa.Table) -> Rendered:
    frame = Frame({column: np.zeros(len(table), dtype=np.int64) for column in ("owner", "delivery", "plant")})
    return Rendered(name, f"{name}.parquet", frame, table)
