"""The simulated registry of deaths: everybody who may be linked and died, once in good order, with the errors that truth names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace


def test_every_linked_death_is_delivered_on_its_true_day(small_country: Any) -> None:
    delivered = {
        tuple(line.decode("cp949").split(",")[2:5])
        for delivery in ("2026-03-full", "2026-04", "2026-05", "2026-06")
        if small_country.folder("a13", "death_registry", delivery).is_dir()
        for line in small_country.lines("a13", "death_registry", delivery, "사망원인.csv")
    }
    truth = small_country.truth("select death_date::varchar, cause, external_cause from deaths where known_at_a13")
    assert len(truth) > 5
    assert set(truth) <= delivered


def test_the_registry_lands_as_truth_expects(small_country: Any, tmp_path: Path) -> None:
    lake = Workspace(tmp_path / "lake")
    deliveries = small_country.truth("""
        select delivery_id, sum(delivered), sum(landed), sum(quarantined), sum(duplicate) from expected_counts
        where site = 'a13' and delivery_id not like '%resend' group by 1 order by 1
    """)
    assert len(deliveries) > 1
    for delivery, *expected in deliveries:
        folder = lake.lake.inbox / "a13" / "death_registry" / delivery
        shutil.copytree(small_country.folder("a13", "death_registry", delivery), folder)
        outcome = land(lake, admit(lake, folder))
        assert [outcome.delivered, outcome.landed, outcome.quarantined, outcome.duplicate] == expected
    planted = small_country.truth("select distinct kind from planted_errors where site = 'a13' and entity is not null order by 1")
    assert [k for (k,) in planted] == ["before_birth", "corrected", "duplicate", "impossible_date", "missing_id", "superseded"]
    assert {q["reason"] for q in lake.deliveries.quarantined()} == {"invalid_date", "missing_key"}
