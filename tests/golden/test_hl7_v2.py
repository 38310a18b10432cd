"""Whole files of HL7 v2 and what they become, to be read side by side: `tests/golden/hl7_v2/<case>/`.

`expected.json` holds the spool: identifiers are still in clear there, and every value in it was allowed by a rule. After a change that is meant,
`python -m tests.golden.test_hl7_v2` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.hl7_reading import Reading, read_hl7

CASES = sorted(p for p in (Path(__file__).parent / "hl7_v2").iterdir() if p.is_dir())


def _read(case: Path, folder: Path, *, stepwise: bool = False, careful: bool = False) -> Reading:
    options = json.loads((case / "options.json").read_text()) if (case / "options.json").exists() else {}
    return read_hl7(folder, [(case / "input.hl7").read_bytes()], stepwise=stepwise, careful=careful, **options)


def _outcome(reading: Reading) -> dict[str, Any]:
    rows = {
        table: [{k: v for k, v in row.items() if k not in ("_file", "content_id")} for row in sorted(found, key=_order)]
        for table, found in sorted(reading.rows.items())
    }
    return {
        "counted": reading.counted[0],
        "refused": reading.refused.get(0),
        "rejected": [list(r[1:]) for r in reading.rejected],
        "rows": rows,
    }


def _order(row: dict[str, Any]) -> tuple[int, str]:
    return row["_row_number"], str(row["record_id"])


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
@pytest.mark.parametrize("way", ["columnar", "stepwise", "careful"])
def test_file_becomes_what_the_case_says(case: Path, way: str, tmp_path: Path) -> None:
    reading = _read(case, tmp_path, stepwise=way == "stepwise", careful=way == "careful")
    outcome = _outcome(reading)
    assert outcome == json.loads((case / "expected.json").read_text(encoding="utf-8"))
    assert reading.refused or reading.accounted()


def test_no_name_address_or_note_is_in_any_case() -> None:
    """The inputs plant them everywhere; no rule lets them pass but to the vault (`_identity_`)."""
    cases = [json.loads((case / "expected.json").read_text(encoding="utf-8")) for case in CASES]
    landed = [
        {
            **case,
            "rows": [{k: v for k, v in row.items() if not k.startswith("_identity_")} for rows in case["rows"].values() for row in rows],
        }
        for case in cases
    ]
    text = json.dumps(landed, ensure_ascii=False)
    assert [
        word
        for word in ("KIM", "ANNA", "Gil Dong", "Main St", "02-123", "never lands", "called", "grown", "Jongno", "안나")
        if word in text
    ] == []


if __name__ == "__main__":
    for golden in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            found = json.dumps(_outcome(_read(golden, Path(scratch))), indent=1, ensure_ascii=False)
        (golden / "expected.json").write_text(found + "\n", encoding="utf-8")
