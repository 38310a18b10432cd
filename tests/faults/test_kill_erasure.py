"""Kill -9 at every step of an erasure: called again it ends, and lake, books and receipt are those of one that nothing happened to."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from assets.landing.workspace import Workspace
from assets.privacy import erased
from assets.upkeep.verify import verify
from tests.faults.erasing import deliver_people, erase, person, rows_by_person
from tests.faults.killing import land_all

pytestmark = pytest.mark.scenario("23 worker killed at 30 random times")
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.erasing"])

PLACES = [
    "begin:1:before", "begin:1:after", "destroy:1:before", "note_files:1:after", "unlink:1:before", "unlink:1:after", "note_files:2:after", "take_out:1:after", "take_out:3:before", "note_files:3:after", "take_out:3:after", "destroy:1:after", "destroy:2:after",
    "note_rows:1:after", "cut_rows:1:before", "record:1:before", "record:1:after", "note_rows:2:after", "record:2:before", "cut_rows:3:after", "note_change:1:before",
    "note_change:1:after", "let_go:1:after", "purge:1:before", "note_removed:1:after", "purge:1:after", "clean:1:after", "search_all:1:after", "write:1:before",
    "write:1:after", "forget:1:before", "forget:1:after", "wipe_free_pages:2:after", "finish:1:before", "finish:1:after",
]  # fmt: skip
IN_DEFAULT = {"record:1:before", "forget:1:after"}
"""One between Delta and ledger, one after the vault has forgotten. The others take as long again each."""


def _erase(lake: Path, where: str) -> int | None:
    process = PROCESSES.Process(target=erase, args=(lake, 1), kwargs={"where": where})
    process.start()
    process.join(120)
    return process.exitcode


def _state(lake: Path) -> dict[str, Any]:
    """Everything by which two erasures of the same person may differ, but for names, times and sizes of files."""
    workspace = Workspace(lake)
    (row,) = workspace.erasures.all()
    facts = json.loads((lake / "control" / "receipts" / f"{row['erasure_id']}.json").read_text())["receipt"]
    own = {"erasure_id", "started_at", "scan", "files_removed", "artefacts"}
    tables = {t: {n: f for n, f in fact.items() if not n.startswith("version")} for t, fact in facts["tables"].items()}
    return {
        "rows": rows_by_person(lake),
        "facts": {**{n: f for n, f in facts.items() if n not in own}, "tables": tables},
        "removed": {table: len(paths) for table, paths in facts["files_removed"].items()},
        "erased_rows": workspace.erasures.rows(),
        "finished": row["finished_at"] is not None and row["receipt_sha256"] is not None,
        "identifiers": erased.identifiers(workspace.vault, [person(lake, 1)]),
        "stored": sorted(str(p.relative_to(lake)) for p in (lake / "landing").rglob("*") if p.is_file()),
        "findings": verify(workspace, deep=True).findings,
    }


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("people") / "lake"
    deliver_people(lake)
    land_all(lake, "nowhere")
    return lake


@pytest.fixture(scope="module")
def undisturbed(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    lake = tmp_path_factory.mktemp("undisturbed") / "lake"
    shutil.copytree(landed, lake)
    assert _erase(lake, "nowhere") == 0
    return _state(lake)


@pytest.mark.parametrize("where", [p if p in IN_DEFAULT else pytest.param(p, marks=pytest.mark.slow) for p in PLACES])
def test_killed_erasure_is_finished_by_the_next(landed: Path, undisturbed: dict[str, Any], tmp_path: Path, where: str) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(landed, lake)
    assert _erase(lake, where) == -signal.SIGKILL, "the step that should have been killed was not reached"
    assert _erase(lake, "nowhere") == 0
    assert _state(lake) == undisturbed
