"""Spellings of dates and times. None means: not a date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from assets.formats.dates import parse_dates, parse_parts, parse_timestamps, zone_is_known

TIMES = [
    # text                                 Seoul wall clock -> UTC                          FHIR: partial dates, first instant in Seoul
    ("2015-08-23T01:16:09+00:00", datetime(2015, 8, 23, 1, 16, 9), datetime(2015, 8, 23, 1, 16, 9)),
    ("2015-08-23T01:16:09-05:00", datetime(2015, 8, 23, 6, 16, 9), datetime(2015, 8, 23, 6, 16, 9)),
    ("2015-08-23T01:16:09.1234567Z", datetime(2015, 8, 23, 1, 16, 9, 123456), datetime(2015, 8, 23, 1, 16, 9, 123456)),
    ("2015-08-23 01:16:09", datetime(2015, 8, 22, 16, 16, 9), datetime(2015, 8, 22, 16, 16, 9)),
    ("2015-08-23", datetime(2015, 8, 22, 15), datetime(2015, 8, 22, 15)),
    ("20150823", datetime(2015, 8, 22, 15), datetime(2015, 8, 22, 15)),
    ("2015/08/23 10:30", datetime(2015, 8, 23, 1, 30), datetime(2015, 8, 23, 1, 30)),
    ("20150823103000", datetime(2015, 8, 23, 1, 30), datetime(2015, 8, 23, 1, 30)),
    (" 2015-08-23T01:16:09Z ", datetime(2015, 8, 23, 1, 16, 9), datetime(2015, 8, 23, 1, 16, 9)),
    ("2015-08", None, datetime(2015, 7, 31, 15)),
    ("2015", None, datetime(2014, 12, 31, 15)),
    ("2201-12-13T00:00:00Z", datetime(2201, 12, 13), datetime(2201, 12, 13)),  # MIMIC's shifted dates
    ("1987-05-10 02:30:00", datetime(1987, 5, 9, 17), datetime(1987, 5, 9, 17)),  # skipped by Korean summer time
    ("2015-02-30", None, None),
    ("2015-02-30T00:00:00Z", None, None),
    ("2015-08-23T25:00:00Z", None, None),
    ("2015-08-23T01:16:09+25:00", None, None),
    ("1849-12-31T00:00:00Z", None, None),
    ("2301-01-01T00:00:00Z", None, None),
    ("0000-00-00", None, None),
    ("yesterday", None, None),
    ("201508", None, None),
]


@pytest.mark.parametrize(("text", "local", "fhir"), TIMES)
def test_time_is_read_or_refused(text: str, local: datetime | None, fhir: datetime | None) -> None:
    for partial, wanted in ((False, local), (True, fhir)):
        parsed = parse_timestamps(pa.array([text]), zone="Asia/Seoul", partial=partial)
        assert parsed.values.to_pylist() == [wanted and wanted.replace(tzinfo=UTC)]
        assert parsed.bad == (() if wanted else (0,))


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Seoul"])
@pytest.mark.parametrize("texts", [["2020-05-11", "2021-11-07"], ["2020-05-11", "2021-11-07", "2014", "2014-02-01T10:00:00Z"]])
def test_a_day_stays_that_day_on_the_clock_of_its_site(zone: str, texts: list[str]) -> None:
    """Incident: a FHIR date without a time was midnight in UTC. At sites west of Greenwich, whose day is taken from their own clock, every diagnosis and
    every death known by its day alone was dated to the day before; at eastern ones its time was 09:00 where HL7 v2 and C-CDA said 00:00."""
    found = parse_timestamps(pa.array(texts), zone=zone, partial=True).values.to_pylist()
    assert [at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in found[:2]] == [datetime(2020, 5, 11), datetime(2021, 11, 7)]


def test_all_spellings_in_one_column_are_read_as_each_by_itself() -> None:
    texts = [text for text, _, _ in TIMES] * 3 + [None]
    parsed = parse_timestamps(pa.array(texts), zone="Asia/Seoul")
    wanted = [w and w.replace(tzinfo=UTC) for _, w, _ in TIMES] * 3 + [None]
    assert parsed.values.to_pylist() == wanted
    assert parsed.bad == tuple(i for i, (t, w) in enumerate(zip(texts, wanted, strict=True)) if t and not w)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2015-08-23", date(2015, 8, 23)),
        ("20150823", date(2015, 8, 23)),
        ("2015.8.3", date(2015, 8, 3)),
        ("2015-08-23T23:59:00-09:00", date(2015, 8, 23)),  # as written
        ("1850-01-01", date(1850, 1, 1)),
        ("2300-12-31", date(2300, 12, 31)),
        ("1849-12-31", None),
        ("2301-01-01", None),
        ("2015-13-01", None),
        ("2015-8", None),
        ("", None),
    ],
)
def test_date_is_read_or_refused(text: str, wanted: date | None) -> None:
    parsed = parse_dates(pa.array([text, None]))
    assert parsed.values.to_pylist() == [wanted, None]
    assert parsed.bad == (() if wanted else (0,))


def test_parts_of_a_partial_date_are_null() -> None:
    parts, bad = parse_parts(pa.array(["1970-06-15", "1970-06", "1970", "19700615", None, "1970-02-30", "1700-01-01"]))
    assert parts["year"].to_pylist() == [1970, 1970, 1970, 1970, None, None, None]
    assert parts["month"].to_pylist() == [6, 6, None, 6, None, None, None]
    assert parts["day"].to_pylist() == [15, None, None, 15, None, None, None]
    assert bad == (5, 6)


def test_unknown_zone_is_found_out() -> None:
    assert zone_is_known("Asia/Seoul")
    assert not zone_is_known("Asia/Nowhere")
