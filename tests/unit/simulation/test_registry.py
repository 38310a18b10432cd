"""The simulated registry: people with its diseases, once in good order, whose form never contradicts the consent service."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace

DELIVERIES = ("2026-03-full", "2026-04", "2026-05", "2026-06")


def _rows(country: Any) -> list[dict[str, str]]:
    """Rows of all deliveries, those with bytes that are no text left out."""
    found = []
    for delivery in DELIVERIES:
        path = country.folder("r11", "redcap", delivery) / "registry.csv"
        if path.exists():
            found += list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8", errors="replace")), delimiter=";"))
    return found


def test_every_true_fact_is_delivered_as_an_item_of_its_visit(small_country: Any) -> None:
    delivered = set()
    for row in _rows(small_country):
        for item in ("hba1c", "creatinine", "sbp", "dbp"):
            if row[item] and row[item] != "hoch":
                delivered.add((row["visit_date"], item, float(row[item].replace(",", "."))))
    truth = small_country.truth("""
        select strftime(date, '%d.%m.%Y'), key, case key when 'creatinine' then round(value * 88.42, 1) else value end
        from registry_facts where value is not null
    """)
    assert {key for _, key, _ in truth} == {"hba1c", "creatinine", "sbp", "dbp"}
    assert set(truth) <= delivered


def test_no_form_refuses_what_the_person_ever_granted(small_country: Any) -> None:
    """A registry's no withdraws everywhere: it would make the consent of the country untrue."""
    people = dict(small_country.truth("select rrn, person from people"))
    granted = set(small_country.truth("select person, scope from consent_events where event_type = 'grant'"))
    forms = [row for row in _rows(small_country) if row["redcap_event_name"] == "enrolment_arm_1"]
    assert len(forms) >= 25
    asked = {"clinical": "consent", **{s: f"consent_{s}" for s in ("genomic", "specimen", "lifelog", "recontact", "overseas")}}
    said = {((people[row["rrn"]], scope), row[item]) for row in forms for scope, item in asked.items()}
    assert all((key in granted) == (answer == "1") for key, answer in said)
    assert {answer for _, answer in said} == {"0", "1"}


def test_the_registry_lands_as_truth_expects(small_country: Any, tmp_path: Path) -> None:
    lake = Workspace(tmp_path / "lake")
    deliveries = small_country.truth("""
        select delivery_id, sum(delivered), sum(landed), sum(quarantined), sum(duplicate) from expected_counts
        where site = 'r11' and delivery_id not like '%resend' group by 1 order by 1
    """)
    assert len(deliveries) > 1
    for delivery, *expected in deliveries:
        folder = lake.lake.inbox / "r11" / "redcap" / delivery
        shutil.copytree(small_country.folder("r11", "redcap", delivery), folder)
        outcome = land(lake, admit(lake, folder))
        assert [outcome.delivered, outcome.landed, outcome.quarantined, outcome.duplicate] == expected
    planted = small_country.truth("select distinct kind from planted_errors where site = 'r11' and entity is not null order by 1")
    assert [k for (k,) in planted] == [
        "corrected", "duplicate", "missing_person", "registry_encoding", "registry_ragged", "registry_withheld", "superseded",
    ]  # fmt: skip
    assert {q["reason"] for q in lake.deliveries.quarantined()} == {"missing_person", "ragged_row", "encoding"}
