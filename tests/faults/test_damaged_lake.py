"""Scenarios 31, 32 and 6: power loss, bit rot and a lake of which only landing store, control and vault are left, end to end."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Biodam
from tests.faults.conftest import deliver_hospital
from tests.unit.upkeep.test_scrub import cut, empty, flip, remove, zero

pytestmark = pytest.mark.slow


@pytest.fixture
def built(hospital: Biodam) -> Biodam:
    """Two deliveries landed, built and published, in two runs."""
    deliver_hospital(hospital.lake)
    hospital("run")
    deliver_hospital(hospital.lake, sequence=2, hba1c=6.4)
    hospital("run")
    return hospital


def findings(biodam: Biodam) -> set[tuple[str, str]]:
    done = biodam("verify", "--json", check=False)
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == (1 if found else 0)
    return {(f["table"], f["path"]) for f in found}


@pytest.mark.scenario("32 one flipped bit in each of 500 files")
def test_bit_rot_in_many_files_is_named_not_served_and_repaired(built: Biodam) -> None:
    before = built.fingerprints()
    chance = random.Random(11)
    tables = built.lake / "tables"
    data = sorted(p for p in tables.rglob("*.parquet") if "_delta_log" not in str(p))
    logs = sorted(tables.rglob("_delta_log/*.json"))
    chosen = [*chance.sample(data, 40), *chance.sample(logs, 20)]
    for path in chosen:
        flip(path, chance.randrange(8 * path.stat().st_size))
    named = {f"{table}/{path}" for table, path in findings(built)}
    assert {str(p.relative_to(tables)) for p in chosen} <= named

    pinned = {path: name for name, path in built.query("select table_name, path from biodam_files")}
    served = {pinned[str(path)] for path in chosen if str(path) in pinned}
    assert len(served) > 3
    for name in sorted(served)[:4]:
        refused = built("sql", f"select * from {name}", check=False)
        assert refused.returncode == 1, f"{name} was served from a damaged file"
        assert "biodam repair" in refused.stderr

    built("repair")
    built("run")
    assert findings(built) == set()
    assert built("verify", "--deep").returncode == 0
    assert built.fingerprints() == before


@pytest.mark.scenario("31 power loss")
@pytest.mark.parametrize("harm", [zero, empty, cut, remove])
@pytest.mark.parametrize("target", ["raw/emr_csv/lab_result", "omop/measurement"])
@pytest.mark.parametrize("kind", ["log", "data"])
def test_power_loss_stops_the_next_run_and_is_repaired(built: Biodam, harm: Callable[[Path], None], target: str, kind: str) -> None:
    before = built.fingerprints()
    folder = built.lake / "tables" / target
    newest = sorted(folder.glob("_delta_log/*.json"))[-1]
    added = [json.loads(line)["add"]["path"] for line in newest.read_text().splitlines() if '"add"' in line]
    harm(newest if kind == "log" else folder / added[0])
    deliver_hospital(built.lake, sequence=3, hba1c=6.4)
    stopped = built("run", check=False)
    assert stopped.returncode == 1, "a run went on over a damaged table"
    assert "biodam repair" in stopped.stderr
    built("repair")
    built("run")
    assert built("verify", "--deep").returncode == 0
    assert built.status()["conserved"]
    assert built.fingerprints().keys() == before.keys()
    assert built.one("select count(*) from measurement") == 24
    incremental = built.fingerprints()
    built("run", "--full")
    assert built.fingerprints() == incremental


@pytest.mark.scenario("33 lost data file, log, checkpoint")
def test_lake_is_restored_from_landing_store_control_and_vault(built: Biodam, tmp_path: Path) -> None:
    before = built.fingerprints()
    restored = Biodam(tmp_path / "restored", built.environment)
    for part in ("control", "vault", "landing"):
        shutil.copytree(built.lake / part, restored.lake / part)
    restored("repair")
    restored("run")
    assert restored("verify", "--deep").returncode == 0
    assert restored.fingerprints() == before
    assert restored.status() == {**built.status(), "lake": str(restored.lake)}
