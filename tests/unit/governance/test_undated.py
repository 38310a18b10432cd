"""Counting what consent leaves out for want of a date: the columns it looks at are those by which staging models judge consent."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.contracts.table import load_contract
from assets.dbt_manifest import load_manifest
from assets.governance.undated import DAYS, count_undated, tables_without_days
from assets.lake.commits import newest_version
from assets.lake.paths import Lake
from assets.lake.tables import overwrite
from tests.unit.lake.conftest import put_rows

_CALL = re.compile(r"\bconsented_rows\(\s*'(\w+)',\s*'(\w+)'([^{}]*?)\)\s*\}\}")
_SET = re.compile(r"\{%-?\s*set (\w+)\s*(?:=\s*(.*?)\s*-?%\}|-?%\}(.*?)\{%-?\s*endset)", re.S)
_NEVER = date(1, 1, 1)


def _judged_by_day() -> dict[str, tuple[str, set[str]]]:
    """Raw table -> scope and columns of the day by which the staging models read it, from their code."""
    found = {}
    for node in load_manifest()["nodes"].values():
        code = node.get("raw_code") or ""
        for family, entity, rest in _CALL.findall(code):
            if "event_date" in rest:
                scope = re.search(r"scope='(\w+)'", rest)
                text = re.sub(r"scope='\w+'", "", rest)
                for name, short, long in reversed(_SET.findall(code)):
                    text = re.sub(rf"\b{name}\b(?!')", short or long, text)
                columns = {c.name for c in load_contract(family).entities[entity].columns}
                found[f"raw/{family}/{entity}"] = (scope[1] if scope else "clinical", columns & set(re.findall(r"\w+", text)))
    return found


def test_days_and_scopes_are_those_by_which_the_staging_models_judge_consent() -> None:
    assert {key: (scope, set(days)) for key, (scope, days) in DAYS.items()} == _judged_by_day()
    assert all("record_id" in {c.name for c in load_contract(key.split("/")[1]).entities[key.split("/")[2]].columns} for key in DAYS)


def test_a_table_whose_contract_demands_the_day_is_not_looked_at() -> None:
    looked_at = tables_without_days()
    assert "raw/hl7_v2/diagnosis" in looked_at
    assert "raw/emr_csv/diagnosis" not in looked_at
    assert "raw/claims_nhis/qualification" in looked_at, "the year is demanded, but 1 is no year"


def _lake(folder: Path, *relation: dict[str, Any]) -> Lake:
    lake = Lake(folder / "lake")
    overwrite(lake, "reference/site", pa.table({"site": ["h01", "h02"], "legal_basis": ["consented"] * 2}).to_reader())
    rows = [{"legal_basis": "consented", "only_site": None, "valid_from": _NEVER, **row} for row in relation]
    columns = pa.schema([
        ("person_id", pa.int64()), ("legal_basis", pa.string()), ("scope_code", pa.string()), ("only_site", pa.string()), ("valid_from", pa.date32()),
    ])  # fmt: skip
    overwrite(lake, "standard/consent_relation", pa.Table.from_pylist(rows, schema=columns).to_reader())
    return lake


def _counted(lake: Lake) -> list[tuple[str, str, int]] | None:
    found = count_undated(lake, {key: newest for key in lake.table_keys() if (newest := newest_version(lake, key)) is not None})
    return None if found is None else [(r["site"], r["table_name"], r["record_count"]) for r in found]


BOUNDED = {"valid_from": date(2015, 1, 1)}


def test_each_table_is_counted_by_its_own_scope_and_site(tmp_path: Path) -> None:
    """1: clinical from 2015, everything of h02; 2: claims from 2015; 3: open. 11 is another number of 1."""
    lake = _lake(
        tmp_path, {"person_id": 1, "scope_code": "clinical", **BOUNDED}, {"person_id": 1, "scope_code": "all", "only_site": "h02"},
        {"person_id": 2, "scope_code": "claims", **BOUNDED}, {"person_id": 3, "scope_code": "all"},
    )  # fmt: skip
    put_rows(lake, "people", "link", [{"alias_person_id": 11, "alias_bucket": 0, "person_id": 1, "person_bucket": 0}])
    people = [{"record_id": number, "person_id": person} for number, person in enumerate((1, 11, 2, 3), 1)]
    for site in ("h01", "h02"):
        put_rows(lake, "hl7_v2", "diagnosis", people, site=site)
    put_rows(lake, "fhir", "device", people)
    put_rows(
        lake, "hl7_v2", "visit", [{**row, "visit_id": row["record_id"], "recorded_at": datetime(2020, 1, 1, tzinfo=UTC)} for row in people]
    )
    years = [{"record_id": n, "person_id": 2, "year": year} for n, year in enumerate((2020, 1, 1))]
    put_rows(lake, "claims_nhis", "qualification", years)
    put_rows(
        lake,
        "claims_nhis",
        "checkup",
        [{**row, "exam_year_month": month} for row, month in zip(years, (None, 202013, 202012), strict=True)],
    )
    put_rows(lake, "death_registry", "death", [{"record_id": n, "person_id": 2, "death_year": y} for n, y in enumerate((2020, None))])

    assert _counted(lake) == [
        ("h01", "claims_nhis/checkup", 1),  # month 13; the year stands in where no month is told, and a month needs no year
        ("h01", "claims_nhis/qualification", 2),  # 1 is no year
        ("h01", "death_registry/death", 1),
        ("h01", "fhir/device", 2),  # a device never has a date
        ("h01", "hl7_v2/diagnosis", 2),  # of 1 under both numbers; of 2, who agreed to claims only, none is left out for its date
    ]


def test_where_no_consent_has_a_first_day_nothing_is_counted(tmp_path: Path) -> None:
    lake = _lake(tmp_path, {"person_id": 3, "scope_code": "all"})
    put_rows(lake, "hl7_v2", "diagnosis", [{"record_id": 1, "person_id": 3}])
    assert _counted(lake) is None
