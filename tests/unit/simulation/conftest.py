"""Small countries that several tests look at. They are read only."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from assets.simulation.country import load_country
from assets.simulation.simulate import SimulationReport, simulate


@dataclass(frozen=True)
class SmallCountry:
    """A written country and ways to look into it."""

    root: Path
    report: SimulationReport

    def truth(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query over the truth tables, named as their files."""
        with duckdb.connect() as connection:
            for path in (self.root / "truth").glob("*.parquet"):
                connection.execute(f"create view {path.stem} as from read_parquet('{path}')")
            return connection.execute(query).fetchall()

    def folder(self, site: str, feed: str, delivery: str) -> Path:
        """A delivery folder."""
        return self.root / "deliveries" / site / feed / delivery

    def lines(self, site: str, feed: str, delivery: str, file: str) -> list[bytes]:
        """Records of a file, without a header."""
        raw = (self.folder(site, feed, delivery) / file).read_bytes()
        if file.endswith(".hl7"):
            return re.split(rb"\r(?=MSH\|)", raw.partition(b"\rBTS|")[0])[1:]
        if file.endswith(".xml"):
            return [raw.partition(b"<entry>")[0], *re.findall(rb"<entry>.*?</entry>", raw, re.DOTALL)]
        if file.endswith(".dcm"):
            return [raw]
        lines = raw.splitlines()
        return lines if file.endswith(".ndjson") else lines[1:]


@pytest.fixture(scope="session")
def small_country(tmp_path_factory: pytest.TempPathFactory) -> SmallCountry:
    """600 people in two chunks, so that numbers and parts go on over chunks."""
    root = tmp_path_factory.mktemp("country")
    parameters = dataclasses.replace(load_country(), chunk_people=350, part_chunks=1)
    return SmallCountry(root, simulate(600, 11, root, country=parameters))


@pytest.fixture(scope="session")
def hostile_country(tmp_path_factory: pytest.TempPathFactory) -> SmallCountry:
    """200 people, and deliveries of which nothing may land."""
    root = tmp_path_factory.mktemp("hostile")
    return SmallCountry(root, simulate(200, 5, root, hostile=True))
