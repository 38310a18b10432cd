"""Scenarios 21, 33 and 34 without a build: a clock that goes back, a change of sites cut short, and a lake that stands elsewhere than it was made."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path

import pytest

from assets.landing.workspace import Workspace
from assets.ledger import commits as ledger
from assets.ledger.commits import Commits
from assets.ledger.schema import open_ledger
from assets.planning import consent_day, sync_reference, write_reference
from assets.quiet import is_quiet, mark_quiet
from orchestration.settings import read_settings

CLOCK = pytest.mark.scenario("34 clock two days behind, 400 days ahead")
TODAY, BEFORE = date(2026, 11, 27), date(2026, 11, 25)


def build(commits: Commits, run_id: str, day: date) -> None:
    commits.start_build(run_id, as_of=day.isoformat(), full=False, buckets=[], version="v")
    commits.finish_build(run_id, commits.pending(), next_consent_change=None)


class Clock:
    """Stands for `datetime` where builds take their time from."""

    says = "2026-11-27T08:00:00+00:00"

    @classmethod
    def now(cls, _zone: object) -> Clock:
        return cls()

    def isoformat(self) -> str:
        return self.says


@CLOCK
def test_last_build_is_the_one_that_came_last_whatever_the_clock_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By time it was the one before: a catalogue that was not published yet passed for published."""
    commits = Commits(open_ledger(tmp_path / "control.db"))
    monkeypatch.setattr(ledger, "datetime", Clock)
    build(commits, "first", TODAY)
    monkeypatch.setattr(Clock, "says", "2026-11-25T08:00:00+00:00")
    build(commits, "second", TODAY)
    assert (commits.last_build() or {})["run_id"] == "second"


@CLOCK
def test_builds_of_an_earlier_release_are_numbered_by_their_time(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    open_ledger(path).dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("drop table build")
        connection.execute("create table build (run_id primary key, as_of, code_version, full, buckets, state, at, next_consent_change)")
        for run_id, at in (("b", "2026-01-02"), ("a", "2026-01-03"), ("c", "2026-01-01")):
            connection.execute("insert into build values (?, '2026-01-01', 'v', 0, '[]', 'finished', ?, null)", (run_id, at))
        connection.execute("update ledger_version set version = 2")
    commits = Commits(open_ledger(path))
    assert (commits.last_build() or {})["run_id"] == "a"
    build(commits, "0", TODAY)
    assert (commits.last_build() or {})["run_id"] == "0"


@CLOCK
def test_consent_is_never_judged_on_a_day_before_the_last_build_unless_somebody_asks(tmp_path: Path) -> None:
    """By a clock two days behind, a consent that ended yesterday would be in force again."""
    workspace = Workspace(tmp_path / "lake")
    assert consent_day(workspace, asked=None, today=BEFORE) == BEFORE, "there is no build yet"
    build(workspace.commits, "b1", TODAY)
    assert consent_day(workspace, asked=None, today=BEFORE) == TODAY
    assert consent_day(workspace, asked=BEFORE, today=TODAY) == BEFORE
    assert consent_day(workspace, asked=None, today=date(2028, 1, 1)) == date(2028, 1, 1)


@CLOCK
def test_nothing_is_due_because_the_clock_went_back_but_a_day_asked_for_is(tmp_path: Path) -> None:
    sites = tmp_path / "sites"
    sites.mkdir()
    (tmp_path / "catalogue").mkdir()
    (tmp_path / "catalogue" / "biodam.duckdb").touch()
    mark_quiet(tmp_path, sites, as_of=TODAY, next_consent_change="2026-11-30")
    assert is_quiet(tmp_path, sites, BEFORE, asked=False)
    assert not is_quiet(tmp_path, sites, BEFORE, asked=True)
    assert not is_quiet(tmp_path, sites, date(2026, 11, 30), asked=False)


@pytest.mark.scenario("21 kill, ENOSPC, EIO, EACCES at system calls of every writer")
@pytest.mark.parametrize("nth", [1, 2])
def test_change_of_sites_killed_between_its_two_tables_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """The ledger knew the new sites, so nobody wrote the codes or rebuilt anything."""
    workspace = Workspace(tmp_path / "lake")
    written: list[str] = []

    def dies(space: Workspace, key: str, *args: object, **options: object) -> None:
        written.append(key)
        if len(written) == nth:
            raise KeyboardInterrupt
        write_reference(space, key, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr("assets.planning.write_reference", dies)
        with pytest.raises(KeyboardInterrupt):
            sync_reference(workspace)
    assert sync_reference(workspace)
    assert set(workspace.commits.latest_versions()) == {"reference/site", "reference/code_map"}
    assert workspace.commits.pending().buckets is None, "everything has to be rebuilt"
    assert not sync_reference(workspace)


@pytest.mark.scenario("33 lost data file, log, checkpoint")
def test_lake_that_was_copied_keeps_its_runs_in_its_own_place(tmp_path: Path) -> None:
    """A copy wrote its events into the lake it was copied from, and made its folder anew where that was gone."""
    made, copied = ({"LAKE_ROOT": str(tmp_path / name)} for name in ("made", "copied"))
    read_settings(made).write_dagster_home()
    here = read_settings(copied).dagster_home
    here.mkdir(parents=True)
    text = (read_settings(made).dagster_home / "dagster.yaml").read_text() + "# a line of the operator\n"
    (here / "dagster.yaml").write_text(text)
    read_settings(copied).write_dagster_home()
    now = (here / "dagster.yaml").read_text()
    assert str(tmp_path / "made") not in now
    assert f"base_dir: {here}/history/runs/" in now
    assert now.endswith("# a line of the operator\n")
