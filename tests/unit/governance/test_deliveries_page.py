"""The page "Deliveries" on accounts that can be checked by eye."""

from __future__ import annotations

import base64
from datetime import date

from assets.governance.accounts import Accounts, FeedAccount, RefusedDelivery
from assets.governance.deliveries_page import WEEKS, deliveries_page, trend_of
from assets.governance.plots import sparkline

DAY = date(2026, 11, 27)  # a Friday
ROW = {"site": "h11", "feed": "fhir_r4", "landed": 0, "quarantined": 0, "duplicate": 0}


def _page(*feeds: FeedAccount, refused: list[RefusedDelivery] | None = None) -> str:
    return deliveries_page(Accounts(list(feeds), refused or []), trend_of([], DAY), day=DAY, expected_days={"h11": 35})


def _line(page: str, start: str) -> str:
    return next(line for line in page.splitlines() if line.startswith(start))


def test_a_week_begins_on_monday_in_seoul() -> None:
    rows = [
        ROW | {"received_at": "2026-11-22T14:59:00+00:00", "delivered": 1},  # Sunday 23:59 in Seoul
        ROW | {"received_at": "2026-11-22T15:01:00+00:00", "delivered": 10, "landed": 9, "quarantined": 1},  # Monday 00:01
        ROW | {"received_at": "2026-08-01T00:00:00+00:00", "delivered": 100},  # before the first week
    ]
    trend = trend_of(rows, DAY)
    assert len(trend.weeks) == WEEKS
    assert trend.weeks[-1] == date(2026, 11, 23)
    assert list(trend.delivered["h11", "fhir_r4"])[-2:] == [1, 10]
    assert sum(trend.delivered["h11", "fhir_r4"]) == 11
    assert trend.outcomes["quarantined"][-1] == 1


def test_a_silent_site_stands_under_late_with_its_days() -> None:
    page = _page(FeedAccount("h11", "fhir_r4", deliveries=1, last_delivery="2026-10-01T00:00:00+00:00", late=True))
    assert "| h11 | fhir\\_r4 | 2026-10-01 | 57 | 35 |" in page


def test_what_was_kept_out_stands_with_its_remedy_largest_first() -> None:
    page = _page(FeedAccount("h12", "emr_csv", deliveries=1, delivered=12, landed=7, quarantined={"encoding": 1, "ragged_row": 4}))
    assert page.index("ragged\\_row") < page.index("| 1 | encoding")
    assert "Quote fields that contain the delimiter" in _line(page, "| 4 | ragged")


def test_a_loss_is_the_first_thing_said() -> None:
    page = _page(FeedAccount("h12", "emr_csv", deliveries=1, delivered=12, landed=7, conserved=False))
    assert "UNACCOUNTED" in page.splitlines()[2]
    assert "**NO**" in _line(page, "| h12")


def test_a_hostile_name_breaks_neither_table_nor_page() -> None:
    hostile = RefusedDelivery("h12", "emr_csv", "x|<img src=a>[b](c)\n# big", "hash_differs", "send it again")
    line = _line(_page(refused=[hostile]), "| h12/")
    assert line.count(" | ") == 2
    assert "\\<img" in line
    assert "\\[b\\]" in line


def test_the_plot_is_a_picture_and_an_empty_lake_has_a_page_too() -> None:
    page = _page()
    encoded = page.split("base64,")[1].split(")")[0]
    assert base64.b64decode(encoded).startswith(b"\x89PNG")
    assert "Nothing is in quarantine." in page


def test_a_sparkline_shows_nothing_as_a_dot_and_the_largest_as_a_full_bar() -> None:
    assert sparkline([0, 1, 50, 100]) == "·▁▅█"
    assert sparkline([]) == ""
