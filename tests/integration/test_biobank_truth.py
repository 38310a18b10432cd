"""The simulated biobank, delivered by delivery, against what is true: findings, amounts, who may be read, what is to be destroyed."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from assets.lake.extensions import open_duckdb
from assets.simulation.simulate import simulate
from tests.conftest import Biodam

AGREED = "(from consent_states as c where c.person = s.person and c.scope = 'specimen' and c.active_until is null and c.covers_from_date is null)"


@pytest.mark.slow
def test_the_lake_finds_what_was_planted_and_reads_who_agreed(tmp_path: Path) -> None:
    simulate(600, 11, tmp_path / "country")
    biodam = Biodam(tmp_path / "lake", {"BIODAM_AS_OF": "2026-06-30"})
    for site in ("b11", "c01"):
        shutil.copytree(tmp_path / "country" / "deliveries" / site, biodam.lake / "inbox" / site)
    biodam("run")
    assert all(feed["conserved"] for feed in biodam.status()["feeds"])
    with duckdb.connect() as truth:
        for path in (tmp_path / "country" / "truth").glob("*.parquet"):
            truth.execute(f"create view {path.stem} as from read_parquet('{path}')")

        def told(query: str) -> list[tuple[object, ...]]:
            return truth.execute(query).fetchall()

        always = "select count(*) from biobank_samples as s where exists " + AGREED
        assert biodam.one("select count(*) from specimen_inventory") >= told(always)[0][0] > 100
        never = told(
            "select count(*) from biobank_samples as s where not exists (from consent_states as c where c.person = s.person and c.scope = 'specimen')"
        )
        assert never[0][0] > 0
        findings = dict(told("select finding, count(*) from biobank_samples where finding is not null group by 1"))
        found = dict(biodam.query("select finding_codes, count(*) from specimen_inventory where finding_codes <> '' group by 1"))
        assert set(found) <= set(findings), "nothing is found that was not planted"
        assert all(found[code] <= findings[code] for code in found)
        planted = told(
            "select finding, count(*) from biobank_samples as s where finding is not null and exists " + AGREED + " group by 1 order by 1"
        )
        assert all(found.get(code, 0) >= count for code, count in planted), "everything that was planted and may be read is found"
        withdrawn = told("select count(*), count(*) filter (where is_disposed) from biobank_samples where withdrawn_date is not null")[0]
    with open_duckdb() as connection:
        manifest = connection.execute(
            f"select count(*), count(*) filter (where is_destruction_confirmed) from delta_scan('{biodam.lake}/tables/governance/gov_specimen_destruction')"
        ).fetchall()[0]
    assert manifest == withdrawn
    assert 0 < withdrawn[1] < withdrawn[0]
