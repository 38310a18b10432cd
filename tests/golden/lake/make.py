"""Makes the golden lake: `python tests/golden/lake/make.py` with the release whose lakes later ones have to be able to open.

A small hospital (five patients, consent, corrections), landed and built. Left behind: `lake.tar.xz` (site files and lake, without what Dagster and dbt keep
for themselves) and `expected.json` (the version of its control database, accounts, readable rows). Make it anew only when an old release is no longer
to be supported; `tests/faults/test_upgrade.py` opens it.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(Path.cwd()))  # the release that makes it may lie elsewhere

from tests.conftest import Biodam, write_delivery
from tests.integration.test_incremental import _consents, _diagnoses, _labs, _patients, _sites

FACTS = """
    select p.gender_source_value, p.year_of_birth, m.measurement_source_value, m.value_as_number, m.measurement_date::varchar
    from measurement as m inner join person as p using (person_id) order by all
"""
CONDITIONS = "select condition_source_value, condition_start_date::varchar, count(*) from condition_occurrence group by all order by all"
AS_OF = "2024-01-01"


def facts(biodam: Biodam) -> dict[str, list[list[object]]]:
    """What the marts say, in words that do not hang on ids."""
    return {name: [list(row) for row in biodam.query(sql)] for name, sql in (("measurements", FACTS), ("conditions", CONDITIONS))}


def fill(lake: Path) -> None:
    """Deliveries 1 and 2."""
    everyone = range(1, 6)
    write_delivery(lake, "c90", "consent", "k1", {"event.csv": _consents(everyone)})
    first = {"patient.csv": _patients(everyone), "diagnosis.csv": _diagnoses(everyone), "lab_result.csv": _labs(everyone, 8.1)}
    write_delivery(lake, "h90", "emr_csv", "e1", first)
    bad = _labs(range(1, 3), 6.4).replace(b"2021-04-03", b"2021-02-30")
    write_delivery(lake, "h90", "emr_csv", "e2", {"lab_result.csv": bad}, sequence=2)


def main() -> None:
    """Make it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        biodam = Biodam(place / "lake", {"BIODAM_SITES": str(_sites(place / "sites")), "BIODAM_AS_OF": AS_OF})
        fill(biodam.lake)
        biodam("run")
        status = biodam.status()
        accounts = [
            {k: f[k] for k in ("site", "feed", "deliveries", "delivered", "landed", "quarantined", "duplicate")} for f in status["feeds"]
        ]
        expected = {"version": 1, "accounts": accounts, **facts(biodam)}
        (HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for own in ("control/dagster", "control/dbt", "control/alerts.jsonl", "catalogue/biodam.duckdb", "catalogue"):
            path = biodam.lake / own
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        with tarfile.open(HERE / "lake.tar.xz", "w:xz", preset=9) as tar:
            tar.add(place / "lake", "lake")
            tar.add(place / "sites", "sites")


if __name__ == "__main__":
    main()
