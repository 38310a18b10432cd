"""The page of consents: what it shows of counts, and that a withheld count stays withheld in tables, sums and plots."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from assets.governance import consent_page
from assets.governance.consent_page import MONTHS, ConsentCounts, consents_page

DAY = date(2026, 6, 30)


def _status(scope: str, arm: str, people: int | None, permission: str = "HMB") -> dict[str, Any]:
    return {"scope_code": scope, "arm_code": arm, "permission_code": permission, "people_count": people, "has_small_cell": people is None}


def _event(kind: str, scope: str, month: date, count: int | None, finding: str = "understood", *, refused: bool = False) -> dict[str, Any]:
    return {
        "site": "c01", "event_type": kind, "scope_code": scope, "month_date": month, "event_count": count, "has_small_cell": count is None,
        "finding_code": finding, "is_refused": refused,
    }  # fmt: skip


def _site(site: str, arm: str, people: int | None) -> dict[str, Any]:
    return {"site": site, "arm_code": arm, "people_count": people, "has_small_cell": people is None}


COUNTS = ConsentCounts(
    status=[_status("clinical", "patient", 40), _status("clinical", "family", None), _status("clinical", "patient", None, "DS")],
    events=[
        _event("grant", "clinical", date(2026, 6, 1), 30), _event("reconsent", "clinical", date(2026, 6, 1), 8),
        _event("grant", "clinical", date(2026, 5, 1), 6, "unknown_form"),
        _event("grant", "clinical", date(2026, 6, 1), 7, "unknown_permission", refused=True),
        _event("withdraw", "all", date(2026, 6, 1), 9), _event("withdraw", "genomic", date(2026, 6, 1), None),
        _event("expire", "clinical", date(2026, 4, 1), 5), _event("withdraw", "all", date(2020, 1, 1), 99),
    ],
    people=[_site("h11", "patient", 33), _site("h11", "family", None)],
)  # fmt: skip
Plots = dict[str, dict[str, list[float]]]


@pytest.fixture
def plots(monkeypatch: pytest.MonkeyPatch) -> Plots:
    """Title -> what each plot was given to draw."""
    drawn: Plots = {}

    def draw(title: str, labels: list[str], parts: dict[str, list[float]], *, unit: str) -> str:
        drawn[title] = {part: dict(zip(labels, heights, strict=True)) for part, heights in parts.items()}  # type: ignore[misc]
        return f"![{title}]({unit})"

    monkeypatch.setattr(consent_page, "stacked_bars", draw)
    return drawn


def test_the_page_shows_scopes_arms_sites_and_who_came_and_left(plots: Plots) -> None:
    page = consents_page(COUNTS, day=DAY, next_change="2026-07-04")
    assert "begins or ends by itself: 2026-07-04" in page
    assert plots["People by scope and arm"] == {"family": {"clinical": 0.0}, "patient": {"clinical": 40.0}}
    assert plots["People by site and arm"] == {"family": {"h11": 0.0}, "patient": {"h11": 33.0}}
    by_month = plots[f"Consent events by month, last {MONTHS} months"]
    assert (by_month["grants"]["2026-06"], by_month["grants"]["2026-05"]) == (38, 6), "a refused grant is none, a notice changes nothing"
    assert (by_month["withdrawals and expiries"]["2026-06"], by_month["withdrawals and expiries"]["2026-04"]) == (9, 5)
    assert list(plots[f"Withdrawals by month and scope, last {MONTHS} months"]) == ["all"], "a withheld count is in no plot"


def test_what_is_withheld_stays_withheld_and_what_is_wrong_has_a_remedy(plots: Plots) -> None:
    page = consents_page(COUNTS, day=DAY)
    assert r"| clinical | \<5 | 40+ |" in page
    assert r"| h11 | \<5 | 33 |" in page
    refused, _, to_look_at = page.partition("## Events to look at")
    assert r"| c01 | unknown\_permission | 7 | send NRES, GRU, HMB, DS or POA |" in refused
    assert r"| c01 | unknown\_form | 6 | add the form to seed\_consent\_form" in to_look_at


def test_of_several_withheld_counts_the_sum_is_withheld_too(plots: Plots) -> None:
    months = [_event("grant", "clinical", date(2026, month, 1), None, "unknown_form") for month in (4, 5)]
    page = consents_page(ConsentCounts([], months, []), day=DAY)
    assert "| withheld | add the form" in page, "<5 would be wrong: each month has up to 4"


def test_records_that_consent_leaves_out_for_want_of_a_date_are_told_by_site_and_table(plots: Plots) -> None:
    undated = [{"site": "h11", "table_name": "fhir/condition", "record_count": n} for n in (1234, 4)]
    page = consents_page(ConsentCounts([], [], [], undated), day=DAY)
    told = page.partition("## Records without a date")[2]
    assert "| h11 | fhir/condition | 1,234 | send the records again with their day" in told
    assert r"| h11 | fhir/condition | \<5 |" in told


def test_a_lake_without_consent_has_a_page_too(plots: Plots) -> None:
    page = consents_page(ConsentCounts([], [], []), day=DAY)
    assert page.count("Nobody.") == 3
    assert "no day is foreseen" in page
