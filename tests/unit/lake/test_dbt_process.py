"""dbt in a process of its own: it dies with the run that started it, and makes no message that nobody hears."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager import EventManager
from dbt_common.events.types import Note

from assets import dbt_process
from assets.dbt_process import drop_unheard_events, parsed_project, without

_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "from assets.dbt_process import die_with_parent; die_with_parent(); print('up', flush=True); import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_dbt_dies_with_a_run_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    said = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
    child = int((said - {"up"}).pop())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(6000):
        if not _is_running(child):
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child outlived the run")


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class _Ear:
    """A log of dbt that takes events of one level and above."""

    def __init__(self, level: EventLevel) -> None:
        self.level, self.heard = level, list[str]()

    def filter(self, _message: object) -> bool:
        return True

    def write_line(self, message: object) -> None:
        self.heard.append(message.info.level)  # type: ignore[attr-defined]


def test_only_logs_that_ask_for_debug_events_get_them() -> None:
    original = EventManager.fire_event
    try:
        drop_unheard_events()
        for asked, expected in ((EventLevel.INFO, ["info"]), (EventLevel.DEBUG, ["debug", "info"])):
            manager, ear = EventManager(), _Ear(asked)
            manager.loggers = [ear]  # type: ignore[list-item]
            manager.fire_event(Note(msg="small"), EventLevel.DEBUG)
            manager.fire_event(Note(msg="large"), EventLevel.INFO)
            assert ear.heard == expected
    finally:
        EventManager.fire_event = original  # type: ignore[method-assign]


def test_dbt_starts_on_the_parsed_project_and_parses_itself_where_that_is_not_ones_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = parsed_project()
    assert "model.biodam.person" in project.nodes
    monkeypatch.setattr(dbt_process, "PROJECT", tmp_path)  # another checkout's
    assert parsed_project() is None
    monkeypatch.setattr(dbt_process, "PARSED", tmp_path / "cut_short")
    (tmp_path / "cut_short").write_bytes(dbt_process.PARSED.parent.name.encode())
    assert parsed_project() is None


def test_only_what_is_named_is_left_out() -> None:
    project = parsed_project()
    arguments = without({"model.biodam.person": "person"}, project)
    assert arguments[:3] == ["--indirect-selection", "empty", "--exclude"]
    assert [i for i, node in project.nodes.items() if arguments[3].removeprefix("tag:") in node.tags] == ["model.biodam.person"]
    assert without({"model.biodam.person": "person"}, None)[3:] == ["person"]
