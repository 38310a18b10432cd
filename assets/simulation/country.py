"""The parameters of the simulated country, read from `country.toml`.

Belongs here: typed access to the numbers. Does not belong here: what the numbers do.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from assets.simulation.frame import Array, Ints

_EPOCH = date(1970, 1, 1)
_FILE = Path(__file__).with_name("country.toml")

SITES = ("h11", "h12", "h13", "h14", "h15")
"""Hospitals, in the order of every (people, sites) array."""
H11, H12, H13, H14, H15 = range(5)
LARGE = 3
"""The first hospitals are large; those behind them see a small share of the people (`[small_sites]`)."""

FEEDS: Mapping[str, str] = {
    "h11": "fhir_r4", "h12": "emr_csv", "h13": "omop", "c01": "consent", "a11": "claims_nhis", "a12": "claims_hira",
    "h14": "hl7_v2", "h15": "ccda", "h16": "dicom", "w11": "open_mhealth",
    "a13": "death_registry", "b11": "lims", "r11": "redcap", "g11": "pedigree",
}  # fmt: skip
"""Site -> the feed it sends."""


@dataclass(frozen=True)
class ErrorRate:
    """How often and where one kind of error is planted (`site.entity`)."""

    rate: float
    at: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Country:
    """All parameters. Days count from 1970-01-01; a day is a Korean calendar day."""

    start: int
    end: int
    chunk_people: int
    cutoffs: tuple[int, ...]
    delivery_ids: tuple[str, ...]
    resend: str
    part_chunks: int
    families: Mapping[str, float]
    people: Mapping[str, Any]
    disease: Mapping[str, Any]
    visits: Mapping[str, float]
    records: Mapping[str, float]
    consent: Mapping[str, Any]
    small_sites: Mapping[str, Any]
    claims: Mapping[str, Any]
    deaths: Mapping[str, Any]
    biobank: Mapping[str, Any]
    registry: Mapping[str, Any]
    errors: Mapping[str, ErrorRate]

    @property
    def last(self) -> int:
        """Index of the last delivery."""
        return len(self.cutoffs) - 1

    def delivery_of(self, days: Array) -> Ints:
        """Index of the delivery whose period holds the day."""
        found = np.searchsorted(np.asarray(self.cutoffs), days, side="left")
        return np.minimum(found, self.last).astype(np.int64)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def calendar_day(number: int) -> date:
    """The date of a day number."""
    return date.fromordinal(_EPOCH.toordinal() + int(number))


@cache
def load_country(path: Path = _FILE) -> Country:
    """Read the parameter file."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    horizon, deliveries = raw["horizon"], raw["deliveries"]
    return Country(
        start=day_number(horizon["start"]),
        end=day_number(horizon["end"]),
        chunk_people=horizon["chunk_people"],
        cutoffs=tuple(day_number(d) for d in deliveries["cutoffs"]),
        delivery_ids=tuple(deliveries["ids"]),
        resend=deliveries["resend"],
        part_chunks=deliveries["part_chunks"],
        families=raw["families"],
        people=raw["people"],
        disease=raw["disease"],
        visits=raw["visits"],
        records=raw["records"],
        consent=raw["consent"],
        small_sites=raw["small_sites"],
        claims=raw["claims"],
        deaths=raw["deaths"],
        biobank=raw["biobank"],
        registry=raw["registry"],
        errors={kind: _error_rate(body["rate"], body["at"]) for kind, body in raw["errors"].items()},
    )


def _error_rate(rate: float, at: Sequence[str]) -> ErrorRate:
    pairs = [place.partition(".") for place in at]
    return ErrorRate(rate, tuple((site, entity) for site, _, entity in pairs))
