"""Whole C-CDA documents and what they become, to be read side by side: `tests/golden/formats/ccda/<case>/`.

`expected.json` holds the spool: identifiers are still in clear there, and every value in it was allowed by a rule. After a change that is meant,
`python -m tests.golden.test_ccda` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.ccda_reading import Reading, read_ccda

CASES = sorted(p for p in (Path(__file__).parent / "formats" / "ccda").iterdir() if p.is_dir())


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
def test_document_becomes_what_the_case_says(case: Path, tmp_path: Path) -> None:
    reading = read_ccda(tmp_path, [(case / "input.xml").read_bytes()], time_zone="Asia/Seoul")
    assert _outcome(reading) == json.loads((case / "expected.json").read_text(encoding="utf-8"))
    assert reading.refused or reading.accounted()


def test_no_name_address_or_narrative_is_in_any_case() -> None:
    """The inputs plant them everywhere; no rule lets them pass."""
    text = "".join((case / "expected.json").read_text(encoding="utf-8") for case in CASES)
    assert [
        word for word in ("Planted", "Anna", "Plantville", "97867", "555", "never lands", "LOT7", "FTH", "고혈압") if word in text
    ] == []


if __name__ == "__main__":
    for golden in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            found = _outcome(read_ccda(Path(scratch), [(golden / "input.xml").read_bytes()], time_zone="Asia/Seoul"))
        lines = [f'"{k}": {json.dumps(v, ensure_ascii=False)}' for k, v in found.items() if k != "rows"]
        tables = [
            f'  "{t}": [\n' + ",\n".join("   " + json.dumps(r, ensure_ascii=False) for r in rows) + "\n  ]"
            for t, rows in found["rows"].items()
        ]
        body = "{\n" + ",\n".join([*(" " + line for line in lines), ' "rows": {\n' + ",\n".join(tables) + "\n }"]) + "\n}\n"
        (golden / "expected.json").write_text(body, encoding="utf-8")
