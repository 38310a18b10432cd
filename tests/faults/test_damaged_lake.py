"""Scenarios 31, 32 and 33: power loss, bit rot and a lake of which only landing store, control and vault are left, end to end."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Biodam
from tests.faults.conftest import Built, deliver_hospital
from tests.unit.upkeep.test_scrub import cut, flip, remove, zero

pytestmark = pytest.mark.slow


@pytest.fixture
def damaged(built_once: Built) -> Biodam:
    """Two deliveries landed, built and published, in two runs: to be damaged."""
    return built_once.fresh(deliveries=2)


def findings(biodam: Biodam) -> set[tuple[str, str]]:
    done = biodam("verify", "--json", check=False)
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == (1 if found else 0)
    return {(f["table"], f["path"]) for f in found}


@pytest.mark.scenario("32 one flipped bit in each of 500 files")
def test_bit_rot_in_every_file_is_named_not_served_and_repaired(damaged: Biodam, built_once: Built) -> None:
    chance = random.Random(11)
    tables = damaged.lake / "tables"
    every = sorted(p for p in tables.rglob("*") if p.is_file() and p.suffix in (".parquet", ".json") and p.stat().st_size)
    chosen = chance.sample(every, min(500, len(every)))
    assert len(chosen) > 100, "too few files to prove anything; tests/unit/upkeep/test_scrub.py has 500"
    for path in chosen:
        flip(path, chance.randrange(8 * path.stat().st_size))
    named = {f"{table}/{path}" for table, path in findings(damaged)}
    assert {str(p.relative_to(tables)) for p in chosen} - named == set()

    pinned = {path: name for name, path in damaged.query("select table_name, path from biodam_files")}
    served = {pinned[str(path)] for path in chosen if str(path) in pinned}
    assert len(served) > 3
    for name in sorted(served)[:3]:
        refused = damaged("sql", f"select * from {name}", check=False)
        assert refused.returncode == 1, f"{name} was served from a damaged file"
        assert "biodam repair" in refused.stderr

    damaged("repair")
    damaged("run")
    assert findings(damaged) == set()
    assert damaged("verify", "--deep").returncode == 0
    assert damaged.fingerprints() == built_once.second


Harm = tuple[Callable[[Path], None], str, str]
POWER_LOSS: list[Harm] = [(zero, "raw/emr_csv/lab_result", "log"), (cut, "raw/emr_csv/patient", "data")]
LOST: list[Harm] = [(remove, "omop/measurement", "data"), (remove, "raw/emr_csv/diagnosis", "log")]


def do(harm: Callable[[Path], None], folder: Path, kind: str) -> None:
    """Harm the newest log file of a table, or a data file that it adds."""
    newest = sorted(folder.glob("_delta_log/*.json"))[-1]
    added = [json.loads(line)["add"]["path"] for line in newest.read_text().splitlines() if '"add"' in line]
    harm(newest if kind == "log" else folder / added[0])


@pytest.mark.parametrize(
    "harms",
    [
        pytest.param(POWER_LOSS, marks=pytest.mark.scenario("31 power loss")),
        pytest.param(LOST, marks=pytest.mark.scenario("33 lost data file, log, checkpoint")),
    ],
)
def test_damaged_tables_stop_the_next_run_and_are_repaired(damaged: Biodam, built_once: Built, harms: list[Harm]) -> None:
    """Every kind of harm to every kind of file is in tests/unit/upkeep; here the whole way, by the command line."""
    for harm, table, kind in harms:
        do(harm, damaged.lake / "tables" / table, kind)
    deliver_hospital(damaged.lake, sequence=3, hba1c=6.4)
    stopped = damaged("run", check=False)
    assert stopped.returncode == 1, "a run went on over a damaged table"
    assert "biodam repair" in stopped.stderr
    assert harms is LOST or damaged.fingerprints() == built_once.second, "what is not damaged is still served"
    damaged("repair")
    damaged("run")
    assert damaged("verify", "--deep").returncode == 0
    assert damaged.status()["conserved"]
    assert damaged.one("select count(*) from measurement") == 24
    assert damaged.one("select count(*) from person") == 40


@pytest.mark.scenario("33 lost data file, log, checkpoint")
def test_lake_is_restored_from_landing_store_control_and_vault(damaged: Biodam, built_once: Built, tmp_path: Path) -> None:
    restored = Biodam(tmp_path / "restored", damaged.environment)
    for part in ("control", "vault", "landing"):
        shutil.copytree(damaged.lake / part, restored.lake / part)
    restored("repair")
    restored("run")
    assert restored("verify", "--deep").returncode == 0
    assert restored.fingerprints() == built_once.second
    assert restored.status() == {**damaged.status(), "lake": str(restored.lake)}
