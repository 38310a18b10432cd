"""Scenario 36: a lake that an earlier release made is opened and taken along; one of a later release is refused, and nothing in it changes."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from assets.landing.workspace import Workspace
from assets.ledger.schema import VERSION, LedgerTooNew, open_ledger
from assets.upkeep.verify import verify
from tests.conftest import REPOSITORY, Biodam

GOLDEN = REPOSITORY / "tests" / "golden" / "lake"
pytestmark = pytest.mark.scenario("36 upgrade and rollback")


@pytest.fixture
def old(tmp_path: Path) -> Biodam:
    """The golden lake, in another place than it was made in."""
    with tarfile.open(GOLDEN / "lake.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    return Biodam(tmp_path / "lake", {"BIODAM_SITES": str(tmp_path / "sites"), "BIODAM_AS_OF": "2024-01-01"})


def hashes(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def set_version(lake: Path, version: int) -> None:
    with closing(sqlite3.connect(lake / "control" / "control.db", isolation_level=None)) as connection:
        connection.execute("update ledger_version set version = ?", (version,))


def test_ledger_of_an_earlier_release_is_taken_along_and_the_lake_is_whole(old: Biodam) -> None:
    with sqlite3.connect(old.lake / "control" / "control.db") as connection:
        assert "ledger_version" not in {name for (name,) in connection.execute("select name from sqlite_master")}, (
            "the golden lake is not old"
        )
    for _ in range(2):  # the second time there is nothing to do
        workspace = Workspace(old.lake)
        assert workspace.deliveries.untold() == [], "Dagster would be told of old deliveries once more"
        with sqlite3.connect(old.lake / "control" / "control.db") as connection:
            assert connection.execute("select version from ledger_version").fetchall() == [(VERSION,)]
    assert [f.line for f in verify(workspace, deep=True).findings] == []


def test_ledger_of_a_later_release_is_refused_in_words_and_left_as_it_is(old: Biodam) -> None:
    open_ledger(old.lake / "control" / "control.db").dispose()
    set_version(old.lake, VERSION + 7)
    before = hashes(old.lake)
    with pytest.raises(LedgerTooNew, match=f"version {VERSION + 7}.*Remedy: install that release again, or restore the backup"):
        open_ledger(old.lake / "control" / "control.db")
    assert hashes(old.lake) == before
    for command in (("run",), ("status",), ("verify",)):
        done = old(*command, check=False)
        assert done.returncode == 1
        assert "a later release wrote it" in done.stderr
        assert "Traceback" not in done.stderr
    assert "FAIL  control database: version" in old("doctor", check=False).stdout
    set_version(old.lake, VERSION)
    Workspace(old.lake).deliveries.all_rows()


@pytest.mark.slow
def test_upgraded_lake_says_what_it_said_and_goes_on_and_so_does_the_backup(old: Biodam, tmp_path: Path) -> None:
    from tests.integration.test_incremental import _labs

    sys.path.insert(0, str(GOLDEN))
    from make import facts

    expected = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
    old("verify", "--deep")
    old("run")
    assert facts(old) == {name: expected[name] for name in ("measurements", "conditions")}
    counts = ("site", "feed", "deliveries", "delivered", "landed", "quarantined", "duplicate")
    assert [{k: f[k] for k in counts} for f in old.status()["feeds"]] == expected["accounts"]
    from tests.conftest import write_delivery

    write_delivery(old.lake, "h90", "emr_csv", "e3", {"lab_result.csv": _labs(range(1, 6), 7.0)}, sequence=3)
    old("run")
    assert {row[3] for row in facts(old)["measurements"]} == {7.0}
    old("verify", "--deep")
    assert old.status()["conserved"]
    before = old.fingerprints()
    old("run", "--full")
    assert old.fingerprints() == before
