"""Simulated claims: as many as published rates say, to the won, the same in both dialects, and landed as truth expects."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace
from assets.simulation.country import FEEDS

MONEY = {"a11": ("EDEC_TRAMT", "EDEC_SBRDN_AMT", "EDEC_JBRDN_AMT"), "a12": ("RVD_RPE_TAMT_AMT", "RVD_SLF_BRDN_AMT", "RVD_INSUP_BRDN_AMT")}
KEYS = {"a11": ("KEY_SEQ", "nhid_gy20_t1_2025.csv"), "a12": ("SPEC_ID_SNO", "t200_2025.csv")}


def _statements(country: Any, site: str) -> dict[str, dict[str, str]]:
    """Statement number -> its newest delivered version, read without anything of ours."""
    found: dict[str, dict[str, str]] = {}
    for delivery in ("2026-03-full", "2026-06"):
        path = country.folder(site, FEEDS[site], delivery) / KEYS[site][1]
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            found |= {row[KEYS[site][0]]: row for row in csv.DictReader(file)}
    return found


def test_claims_follow_the_published_rates(small_country: Any) -> None:
    claims, diagnoses, years = small_country.truth("""
        select count(*), sum(diagnosis_count), (select sum(greatest(date_diff('day', greatest(birth_date, date '2025-01-01'),
               least(coalesce(death_date, date '2025-12-31'), date '2025-12-31')) + 1, 0)) / 365.25 from people where person in (select person from consent_states where scope = 'claims'))
        from claims where not is_after_death
    """)[0]
    assert 9.5 < claims / years < 10.5
    assert 2.2 < diagnoses / claims < 2.7


@pytest.mark.parametrize("site", ["a11", "a12"])
def test_every_claim_is_delivered_and_adds_up_to_the_won(small_country: Any, site: str) -> None:
    total, patient, insurer = MONEY[site]
    statements = _statements(small_country, site)
    truth = small_country.truth(
        f"select {site}_claim, adjudicated_total_won, adjudicated_patient_won from claims where {site}_claim is not null"
    )
    for key, adjudicated, borne in truth:
        row = statements[key]
        assert (int(row[total]), int(row[patient])) == (adjudicated, borne)
        assert int(row[patient]) + int(row[insurer]) == int(row[total])
    assert sum(t[1] for t in truth) > 1_000_000


def test_both_agencies_say_the_same_of_a_claim(small_country: Any) -> None:
    nhis, hira = _statements(small_country, "a11"), _statements(small_country, "a12")
    both = small_country.truth("select a11_claim, a12_claim from claims where a12_claim is not null")
    assert len(both) > 500
    for one, other in both:
        a, b = nhis[one], hira[other]
        assert (a["RECU_FR_DT"], a["MAIN_SICK"], a["SUB_SICK"], a["VSCN"]) == (
            b["RECU_FR_DD"],
            b["MSICK_CD"],
            b["SSICK_CD"],
            b["VST_DDCNT"],
        )
        assert a["FORM_CD"] == b["FOM_TP_CD"][:2]


def test_only_people_who_ever_agreed_to_claims_are_delivered(small_country: Any) -> None:
    wanted = small_country.truth("select count(distinct person) from consent_states where scope = 'claims'")[0][0]
    assert len(small_country.lines("a11", "claims_nhis", "2026-03-full", "linkage.csv")) == wanted
    assert small_country.truth("""
        select count(*) from claims where a11_claim is not null and person not in (select person from consent_states where scope = 'claims')
    """) == [(0,)]


@pytest.mark.parametrize("site", ["a11", "a12"])
def test_a_claims_delivery_lands_as_truth_expects(small_country: Any, tmp_path: Path, site: str) -> None:
    import shutil

    lake = Workspace(tmp_path / "lake")
    for delivery in ("2026-03-full", "2026-06"):
        folder = lake.lake.inbox / site / FEEDS[site] / delivery
        shutil.copytree(small_country.folder(site, FEEDS[site], delivery), folder)
        outcome = land(lake, admit(lake, folder))
        expected = small_country.truth(f"""
            select sum(delivered), sum(landed), sum(quarantined), sum(duplicate) from expected_counts
            where site = '{site}' and delivery_id = '{delivery}'
        """)[0]
        assert (outcome.delivered, outcome.landed, outcome.quarantined, outcome.duplicate) == expected
    reasons = Counter(q["reason"] for q in lake.deliveries.quarantined())
    planted = small_country.truth(f"select reason, count(*) from planted_errors where site = '{site}' and reason is not null group by all")
    assert reasons == dict(planted)
    assert set(reasons) == {"invalid_date", "missing_person", "missing_parent", "ragged_row", "encoding"}
