"""Open mHealth: the published test documents, times at their edges, and documents broken at random."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.formats.omh_schemas import Violation, find_schema
from assets.formats.omh_times import parse_instant, read_frame
from assets.formats.reasons import Reason
from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace
from tests.conftest import REPOSITORY, Deliver

PUBLISHED = "21_wearable_omh"
HEADER = {"creation_date_time": "2026-03-01T00:00:00Z", "user_id": "u-1"}


def _documents(shared_data: Path) -> list[tuple[tuple[str, str, str], bool, Any]]:
    """(namespace, name, version), should it pass, document. The folders are the answer."""
    root = shared_data / PUBLISHED
    found = sorted(p for p in root.glob("*/*/*/should*/*.json"))
    return [((p.parts[-5], p.parts[-4], p.parts[-3]), p.parts[-2] == "shouldPass", json.loads(p.read_bytes())) for p in found]


def _holds(schema_id: tuple[str, str, str], document: Any) -> bool:
    schema = find_schema(*schema_id)
    assert schema is not None, f"no rule for {schema_id}"
    try:
        schema.check(document, "$")
    except Violation:
        return False
    return True


def test_the_published_documents_are_judged_as_their_folders_say(shared_data: Path) -> None:
    documents = _documents(shared_data)
    assert [sum(passes for _, passes, _ in documents), sum(not passes for _, passes, _ in documents)] == [158, 168]
    assert [schema_id for schema_id, passes, document in documents if _holds(schema_id, document) != passes] == []


def test_published_bodies_land_as_data_points_or_are_refused_with_a_path(shared_data: Path, tmp_path: Path, deliver: Deliver) -> None:
    """Each body in an envelope of its own; building blocks (a unit value, a header) are no bodies and are refused as such."""
    points, expected = [], 0
    for number, ((namespace, name, version), passes, document) in enumerate(_documents(shared_data)):
        schema_id = {"namespace": namespace, "name": name, "version": version}
        points.append(json.dumps({"header": {**HEADER, "id": f"d{number}", "schema_id": schema_id}, "body": document}))
        schema = find_schema(namespace, name, version)
        expected += passes and schema is not None and schema.is_body
    folder = deliver(tmp_path, "w01", "open_mhealth", "published", {"any name.ndjson": "\n".join(points)})
    workspace = Workspace(tmp_path)
    outcome = land(workspace, admit(workspace, folder))
    assert (outcome.delivered, outcome.landed, outcome.quarantined) == (326, expected, 326 - expected)
    assert expected == 114
    assert all(q["rule"].startswith("$") for q in workspace.deliveries.quarantined())


def test_no_name_place_serial_number_or_note_is_in_any_golden_file() -> None:
    """The inputs plant them wherever people write free text; no rule lets them pass."""
    text = "".join(
        p.read_text(encoding="utf-8") for p in (REPOSITORY / "tests" / "golden" / "formats" / "open_mhealth").glob("*/expected.json")
    )
    planted = ("Anna", "Kim", "Gil Dong", "12345", "37.5665", "126.978", "Tenormin", "slept", "serial", "away")
    assert [word for word in planted if word in text] == []


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2013-02-05T07:25:00+03:00", datetime(2013, 2, 5, 4, 25, tzinfo=UTC)),
        ("2013-02-05t07:25:00.1234567z", datetime(2013, 2, 5, 7, 25, 0, 123456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2013-02-05T07:25:00", None),
        ("2013-02-05 07:25:00Z", None),
        ("2013-02-05T07:25Z", None),
        ("2013-02-29T07:25:00Z", None),
        ("2013-02-05T24:00:00Z", None),
        ("2013-02-05T07:25:00+09:60", None),
        ("2013-02-05T07:25:00+24:00", None),
        ("1849-12-31T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("٢٠١٣-02-05T07:25:00Z", None),
        ("201-02-05T07:25:00Z", None),
    ],
)
def test_an_instant_is_rfc_3339_with_an_offset(text: str, instant: datetime | None) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    ("value", "unit", "end"),
    [
        (1, "Mo", "2024-02-29T00:00:00+00:00"),
        (1, "yr", "2025-01-31T00:00:00+00:00"),
        (0.5, "yr", "2024-07-31T00:00:00+00:00"),
        (0.5, "Mo", "2024-02-15T05:14:33+00:00"),
        (-1, "d", "2024-01-30T00:00:00+00:00"),
        (90, "sec", "2024-01-31T00:01:30+00:00"),
        (2, "wk", "2024-02-14T00:00:00+00:00"),
    ],
)
def test_a_duration_leads_to_the_other_end(value: float, unit: str, end: str) -> None:
    frame = read_frame({"time_interval": {"start_date_time": "2024-01-31T00:00:00Z", "duration": {"value": value, "unit": unit}}})
    assert frame is not None and frame.ended_at is not None
    assert frame.ended_at.isoformat() == end


Read = Callable[..., Any]
GOOD = [
    {
        "header": {**HEADER, "id": "a", "schema_id": {"namespace": "omh", "name": "blood-pressure", "version": "3.1"}},
        "body": {
            "systolic_blood_pressure": {"value": 120, "unit": "mmHg"},
            "diastolic_blood_pressure": {"value": 80, "unit": "mmHg"},
            "effective_time_frame": {"time_interval": {"start_date_time": "2026-03-01T00:00:00Z", "duration": {"value": 1, "unit": "h"}}},
            "temporal_relationship_to_physical_activity": "at rest",
        },
    },
    {
        "header": {**HEADER, "id": "b", "schema_id": {"namespace": "omh", "name": "step-count", "version": "3.0"}},
        "body": {
            "step_count": {"value": 9000, "unit": "steps"},
            "effective_time_frame": {"time_interval": {"date": "2026-03-01", "part_of_day": "morning"}},
            "descriptive_statistic": "average",
        },
    },
    {
        "header": {"uuid": "c", "source_creation_date_time": "2026-03-02T00:00:00Z", "user_id": "u-1",
                   "schema_id": {"namespace": "ieee", "name": "sleep-stage-summary", "version": "1.0"}},
        "body": {
            "sleep_stage_summary": {"total_sleep_time": {"value": 7, "unit": "h"}, "number_of_awakenings": 2, "descriptive_statistic": "average"},
            "sleep_stage_episodes": [],
            "effective_time_frame": {"time_interval": {"end_date_time": "2026-03-01T21:00:00Z", "duration": {"value": 8, "unit": "h"}}},
            "is_main_sleep": True,
        },
    },
]  # fmt: skip
STRANGE: list[Any] = [
    None,
    "",
    "x",
    -1,
    1e308,
    True,
    [],
    [[]],
    {},
    {"value": {}},
    "9999-12-31T23:59:59Z",
    "\u0000",
    10**400,
    {"date_time": 5},
]


@pytest.mark.parametrize("seed", range(4))
def test_a_document_changed_at_random_is_landed_or_refused_and_never_breaks_the_parser(seed: int, read: Read) -> None:
    random_ = random.Random(seed)
    lines = [json.dumps(_changed(random_, copy.deepcopy(random_.choice(GOOD)))) for _ in range(150)]
    found = read("open_mhealth", "open_mhealth", {"data_point.ndjson": "\n".join(lines)})
    assert len(found.rows) + len(found.rejected) == 150
    assert {r["reason"] for r in found.rejected} <= {str(r) for r in Reason}


def _changed(random_: random.Random, value: dict[str, Any]) -> Any:
    """The document with one field, somewhere, replaced, removed or added."""
    place = value
    while True:
        key = random_.choice(list(place))
        inside = place[key]
        if isinstance(inside, dict) and inside and random_.random() < 0.7:
            place = inside
            continue
        act = random_.random()
        if act < 0.2:
            del place[key]
        elif act < 0.3:
            place["date_time"] = "2026-03-01T00:00:00Z"
        else:
            place[key] = random_.choice(STRANGE)
        return value
