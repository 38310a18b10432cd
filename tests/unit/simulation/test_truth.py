"""Truth is consistent with itself: lives, families, consent, illness, identifiers."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.privacy.residents import normalise_resident_number
from assets.simulation.codes import load_codes
from assets.simulation.country import load_country
from assets.simulation.frame import NEVER, Frame, spread, surrogate
from assets.simulation.physiology import creatinine_of, disease_courses
from assets.simulation.population import make_people
from assets.simulation.residents import resident_numbers
from assets.simulation.setting import Setting


@pytest.fixture(scope="module")
def crowd() -> tuple[Setting, Frame, Frame]:
    """20,000 people and their illnesses, nothing written."""
    setting = Setting(load_country(), load_codes(), 21, 0, 1)
    people = make_people(setting, 0, 20_000)
    return setting, people, disease_courses(setting, people)


@pytest.mark.parametrize(
    ("table", "begin", "end"),
    [
        ("visits", "cast(started_at_kst as date)", "cast(ended_at_kst as date)"),
        ("conditions", "date", "date"),
        ("drugs", "date", "date"),
        ("procedures", "date", "date"),
        ("labs", "cast(measured_at_kst as date)", "cast(measured_at_kst as date)"),
        ("vaccinations", "cast(given_at_kst as date)", "cast(given_at_kst as date)"),
        ("allergies", "date", "date"),
        ("points", "cast(measured_at_kst as date)", "cast(measured_at_kst as date)"),
        ("images", "series_date", "series_date"),
    ],
)
def test_no_true_event_lies_outside_life_or_horizon(small_country: Any, table: str, begin: str, end: str) -> None:
    outside = f"""
        select count(*), count(*) filter (
            {begin} <= birth_date or {end} > coalesce(death_date, date '2026-06-30')
            or {begin} < date '2015-01-01' or {end} > date '2026-06-30' or {end} < {begin}
        ) from {table} join people using (person)
    """
    rows, wrong = small_country.truth(outside)[0]
    assert rows > 0
    assert wrong == 0


def test_every_record_belongs_to_a_hospital_that_its_person_attends(small_country: Any) -> None:
    for site in ("h11", "h12", "h13", "h14", "h15"):
        strangers = f"from visits join people using (person) where site = '{site}' and {site}_number is null"
        assert small_country.truth(f"select count(*) {strangers}") == [(0,)]


def test_facts_of_a_person_are_split_over_hospitals_and_not_repeated(small_country: Any) -> None:
    several = small_country.truth("""
        select count(*) from (select person from visits group by person having count(distinct site) > 1)
    """)[0][0]
    repeated = small_country.truth("""
        select count(*) from visits a join visits b using (person, started_at_kst) where a.site < b.site
    """)[0][0]
    assert several > 50
    assert repeated == 0


def test_parents_are_older_and_of_the_right_sex(small_country: Any) -> None:
    rows = small_country.truth("""
        select count(*), count(*) filter (m.birth_date > c.birth_date - interval 17 year),
               count(*) filter (m.sex <> 'F'), count(*) filter (f.sex <> 'M'),
               count(*) filter (m.family <> c.family)
        from people c join people m on m.person = c.mother left join people f on f.person = c.father
    """)[0]
    assert rows[0] > 20
    assert rows[1:] == (0, 0, 0, 0)


def test_no_consent_is_dated_before_enrolment_and_no_decision_after_death(small_country: Any) -> None:
    rows = small_country.truth("""
        select count(*) filter (effective_date < enrolled_date),
               count(*) filter (event_type <> 'expire' and effective_date > death_date),
               count(*) filter (not has_consent), count(*) filter (effective_date > date '2026-06-30')
        from consent_events join people using (person)
    """)[0]
    assert rows == (0, 0, 0, 0)


def test_consent_states_are_what_the_events_lead_to(small_country: Any) -> None:
    """Played again: a grant, change or re-consent begins a state, the scope's next event ends it."""
    events = small_country.truth("select person, scope, event_type, effective_date from consent_events")
    scopes = load_country().consent["scopes"]
    by_person: dict[tuple[int, str], list[tuple[date, str]]] = {}
    for person, scope, kind, day in events:
        for one in scopes if scope == "all" else [scope]:
            by_person.setdefault((person, one), []).append((day, kind))
    expected = set()
    for (person, scope), story in by_person.items():
        begin: date | None = None
        for day, kind in sorted(story):
            if kind in ("withdraw", "expire", "change") and begin is not None:
                expected.add((person, scope, begin, day, kind))
                begin = day if kind == "change" else None
            elif kind in ("grant", "reconsent"):
                begin = day
        if begin is not None:
            expected.add((person, scope, begin, None, None))
    found = set(small_country.truth("select person, scope, active_from, active_until, ended_by from consent_states"))
    assert found == expected


def test_the_consent_service_ties_every_number_that_no_resident_number_ties(small_country: Any) -> None:
    wanted = {
        (rrn, site, number)
        for rrn, has_filler, h12, first, second, worn, imaged in small_country.truth(
            "select rrn, has_filler_resident_number, h12_number, h13_number, h13_number_2, w11_number, h16_number from people where has_consent"
        )
        for site, number in (("h12", h12 if has_filler else None), ("h13", first), ("h13", second), ("w11", worn), ("h16", imaged))
        if number is not None
    }
    carried = set()
    for path in (small_country.root / "deliveries" / "c01" / "consent").glob("*/event.csv"):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            _, _, rrn, site, number = line.split(",")[:5]
            if site:
                carried.add((rrn, site, number))
    assert carried == wanted
    assert {site for _, site, _ in carried} == {"h12", "h13", "w11", "h16"}


def test_people_with_two_numbers_at_a_hospital_have_one_resident_number(small_country: Any) -> None:
    for site in ("h11", "h12", "h13"):
        split = small_country.truth(f"select count(*) from people where {site}_number_2 is not null")[0][0]
        assert split >= 1
    raw = b"".join(p.read_bytes() for p in (small_country.root / "deliveries" / "h12").rglob("환자.csv")).decode("cp949")
    for rrn, one, two in small_country.truth("select rrn, h12_number, h12_number_2 from people where h12_number_2 is not null"):
        for number in (one, two):
            assert re.search(rf"^{number},{rrn[:6]}-{rrn[6:]},", raw, re.MULTILINE)


def test_cohort_inputs_agree_with_the_facts(small_country: Any) -> None:
    """A coded disease is a true one: no false diagnosis is in truth, and none is coded before its onset."""
    rows = small_country.truth("""
        select count(*) filter (has_t2dm), count(*) filter (t2dm_coded_count > 0 and not has_t2dm),
               count(*) filter (t2dm_first_coded_date < t2dm_onset_date),
               count(*) filter (has_ckd), count(*) filter (ckd_coded_count > 0 and not has_ckd)
        from cohort_inputs
    """)[0]
    coded = small_country.truth("select count(distinct person) from conditions where kcd like 'E11%'")[0][0]
    counted = small_country.truth("select count(*) from cohort_inputs where t2dm_coded_count > 0")[0][0]
    assert min(rows[0], rows[3]) > 10
    assert (rows[1], rows[2], rows[4]) == (0, 0, 0)
    assert coded == counted


def test_resident_numbers_have_the_right_shape_and_are_distinct(crowd: tuple[Setting, Frame, Frame]) -> None:
    setting, people, _ = crowd
    numbers = resident_numbers(setting, people)
    assert len(np.unique(numbers, axis=0)) == len(people)
    weights = np.array([2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5])
    new = people["birth"] >= (date(2020, 10, 1) - date(1970, 1, 1)).days
    rest = 11 - (numbers[:, :12] * weights).sum(axis=1) % 11
    right = numbers[:, 12] == np.where(people["foreign"], rest + 2, rest) % 10
    assert right[~new].all()
    assert 0 < right[new].mean() < 0.5  # random since October 2020
    assert (numbers[:, 6] % 2 == np.where(people["female"], 0, 1)).all()
    assert ((numbers[:, 6] > 4) == people["foreign"]).all()
    for digits, birth in zip(numbers[:500], people["birth"][:500], strict=True):
        text = "".join(map(str, digits))
        assert normalise_resident_number(f"{text[:6]}-{text[6:]}") == text
        century = 1900 if digits[6] in (1, 2, 5, 6) else 2000
        born = date(century + int(text[:2]), int(text[2:4]), int(text[4:6]))
        assert (born - date(1970, 1, 1)).days == birth


def test_resident_numbers_of_other_chunks_are_other_numbers(crowd: tuple[Setting, Frame, Frame]) -> None:
    setting, people, _ = crowd
    one, two = (resident_numbers(Setting(setting.country, setting.codes, 1, chunk, 2), people) for chunk in (0, 1))
    assert len(np.unique(np.concatenate([one, two]), axis=0)) == 2 * len(people)


def test_illness_is_about_as_common_as_documented(crowd: tuple[Setting, Frame, Frame]) -> None:
    setting, people, course = crowd
    age = (setting.country.end - people["birth"]) / 365.25
    adult = age >= 20
    assert 0.11 < (course["t2dm"][adult] < NEVER).mean() < 0.15
    assert 0.065 < (course["ckd"][adult] < NEVER).mean() < 0.095
    assert not (course["t2dm"][age < 20] < NEVER).any()
    assert 0.35 < (people["arm"] == 0).mean() < 0.45
    assert 0.01 < (people["death"] < NEVER).mean() < 0.10


def test_nobody_is_enrolled_outside_life(crowd: tuple[Setting, Frame, Frame]) -> None:
    _, people, _ = crowd
    assert (people["enrolled"] >= people["birth"] + 30).all()
    assert (people["death"] > people["enrolled"]).all()


@given(egfr=st.floats(5, 140), age=st.floats(18, 95), female=st.booleans())
def test_creatinine_gives_back_the_egfr_it_was_made_from(egfr: float, age: float, female: bool) -> None:
    """CKD-EPI 2021 as published, written out here a second time."""
    creatinine = float(creatinine_of(np.array([egfr]), age=np.array([age]), female=np.array([female]))[0])
    kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
    low, high = min(creatinine / kappa, 1) ** alpha, max(creatinine / kappa, 1) ** -1.2
    assert 142 * low * high * 0.9938**age * (1.012 if female else 1) == pytest.approx(egfr, rel=1e-9)


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=200, unique=True))
def test_record_numbers_never_meet(ids: list[int]) -> None:
    numbers = np.array(ids, dtype=np.int64)
    assert len(np.unique(surrogate(numbers, seed=7, scope="h11/lab"))) == len(ids)
    small = np.unique(numbers % 10**9)
    assert len(np.unique(spread(small, digits=9, scope="h12"))) == len(small)
