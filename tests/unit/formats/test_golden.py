"""Golden files: tests/golden/formats/<format>/<case>/ holds one small input and what must become of it.

`expected.json`: `given` is how it is read, `file` the reason if the whole file is refused, `landed` the rows by table (columns without a
value are left out), `quarantined` record number, reason and rule. To add a case, copy a folder; the failing test prints what it found.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.formats.count import count_records
from assets.sites.feed_kinds import FEED_KINDS
from tests.conftest import REPOSITORY

Read = Callable[..., Any]

GOLDEN = REPOSITORY / "tests" / "golden" / "formats"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/expected.json"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_file_becomes_what_is_expected_of_it(read: Read, case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    assert found_in(read, case, expected["given"]) == expected


def test_every_format_has_its_cases() -> None:
    for name, least in (
        ("fhir_bundle", 6),
        ("fhir_ndjson", 6),
        ("delimited", 6),
        ("parquet", 6),
        ("ccda", 6),
        ("open_mhealth", 6),
        ("dicom", 6),
        ("xlsx", 6),
        ("fixed_width", 6),
        ("ped", 6),
        ("redcap", 6),
        ("cdisc_odm", 6),
        ("sas7bdat", 6),
        ("xpt", 6),
    ):
        assert sum(case.parent.name == name for case in CASES) >= least


def found_in(read: Read, case: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Read the input of a case; what came of it, in the shape of expected.json. The independent counter has to agree."""
    (source,) = (path for path in case.iterdir() if path.name != "expected.json")
    options = given.get("options", {})
    found = read(given["format"], given["family"], {source.name: source.read_bytes()}, options=options, sheet=given.get("sheet"))
    (file,) = found.files
    if file["reason"] is None:
        counted = count_records(
            source, given["format"], "gzip" if source.suffix == ".gz" else None,
            encoding=options.get("encoding", "utf-8"), delimiter=options.get("delimiter", ","), quote=options.get("quote", '"'),
            sheet=given.get("sheet"), header_rows=options.get("layouts", {}).get(source.stem, {}).get("header_rows", ()),
        )  # fmt: skip
        kind = next(kind for kind in FEED_KINDS.values() if kind.family == given["family"])  # a document fills many tables
        landed = (
            found.rows if kind.record_entity is None else [r for n, rows in found.tables.items() if kind.holds_records(n) for r in rows]
        )
        assert counted.records == len(landed) + len(found.rejected)
    return {
        "given": given,
        "file": file["reason"],
        "landed": {table: [_plain(row) for row in rows] for table, rows in found.tables.items() if rows},
        "quarantined": [
            {k: row[k] for k in ("row_number", "reason", "rule")} for row in sorted(found.rejected, key=lambda r: r["row_number"])
        ],
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _json(value) for name, value in row.items() if value is not None and name != "_file"}


def _json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def test_no_name_address_or_narrative_of_a_document_is_in_its_case() -> None:
    """The documents plant them everywhere; no rule lets them pass."""
    folders = ("ccda", "redcap", "cdisc_odm")
    text = "".join(path.read_text(encoding="utf-8") for folder in folders for path in GOLDEN.glob(f"{folder}/*/expected.json"))
    assert [
        word for word in ("Planted", "Anna", "Plantville", "97867", "tel:", "never lands", "LOT7", "FTH", "고혈압") if word in text
    ] == []
