"""On which day consent next changes by itself: kept by bucket of people, so that a build asks only the buckets it rebuilt.

Belongs here: the days, and the file that keeps them, `control/consent_days.json`. Does not belong here: what a build owes on such a day
(`assets/planning`), what consent means (`dbt_project/models/standard`).

The file names the finished build after which it was written. Where it is lost, or the ledger knows another build as the last, the days are
asked of all buckets again: a lake of a million people holds millions of spells of consent.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date
from pathlib import Path

import duckdb

from assets.lake.commits import read_snapshot
from assets.lake.durable import replace_file
from assets.lake.versions import files_of
from assets.landing.workspace import Workspace

CONSENT_HISTORY = "standard/consent_history"
"""Table of spells of consent, from every source: `in_force_from` and `in_force_to` let consent begin and end by themselves."""
CONSENT_EVENTS = "standard/int_consent_events__understood"
"""Table of consent events: one that takes effect later may change the arm, or stand for a withdrawal, without beginning or ending a spell."""

_NEVER = "date '9999-01-01'"
"""From here on a day stands for no day."""
_SPELLS = f"""
    select person_bucket, min(least(
        case when in_force_from > # then in_force_from end,
        case when in_force_to >= # and in_force_to < {_NEVER} then in_force_to + 1 end
    )) as day
    from kept
"""
_EVENTS = f"select person_bucket, min(case when effective_date > # and effective_date < {_NEVER} then effective_date end) as day from kept"


def aged_buckets(workspace: Workspace, *, last_run: str, since: date, until: date) -> frozenset[int]:
    """Buckets of people whose consent begins or ends, or of whom a consent event takes effect, in (since, until].

    Args:
        workspace: The lake.
        last_run: The last finished build, which judged consent on `since`.
        since: Its day.
        until: Day of the next build, not before `since`.
    """
    if since == until:
        return frozenset()
    days = _kept(workspace, last_run)
    if days is None:
        days = _asked(workspace, since, None)
    return frozenset(bucket for bucket, day in days.items() if day <= until.isoformat())


def note_days(workspace: Workspace, *, run_id: str, last_run: str | None, as_of: date, buckets: Collection[int] | None) -> str | None:
    """Keep the days as they are after a build.

    Args:
        workspace: The lake, whose ledger does not yet know the build as finished.
        run_id: The build.
        last_run: The finished build before it, None where there is none.
        as_of: Day of the build.
        buckets: Person buckets it rebuilt; None where all.

    Returns:
        The first of all days, YYYY-MM-DD; None where no change is foreseen.
    """
    known = None if buckets is None or last_run is None else _kept(workspace, last_run)
    if known is None or buckets is None:
        days = _asked(workspace, as_of, None)
    else:
        days = {**{b: day for b, day in known.items() if b not in set(buckets)}, **_asked(workspace, as_of, buckets)}
    replace_file(_path(workspace), json.dumps({"run_id": run_id, "days": {str(b): days[b] for b in sorted(days)}}).encode())
    return min(days.values(), default=None)


def _kept(workspace: Workspace, run_id: str) -> dict[int, str] | None:
    """Bucket -> first day after the build that last rebuilt it; None where the file is not that of `run_id`.

    A day in a bucket that the build left alone lies after the build too: else the bucket had aged and was rebuilt.
    """
    try:
        kept = json.loads(_path(workspace).read_text(encoding="utf-8"))
        return {int(b): str(day) for b, day in kept["days"].items()} if kept["run_id"] == run_id else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _asked(workspace: Workspace, after: date, buckets: Collection[int] | None) -> dict[int, str]:
    """Bucket -> first day after `after` on which consent of its people changes, asked of the tables; buckets without one are left out."""
    found: dict[int, str] = {}
    for key, query in ((CONSENT_HISTORY, _SPELLS), (CONSENT_EVENTS, _EVENTS)):
        version = workspace.commits.latest_version(key)
        if version is None:
            continue
        snapshot = read_snapshot(workspace.lake, key, version).of_buckets(buckets)
        if not snapshot.files:
            continue
        # literals only: a bound parameter makes DuckDB import pandas, about 1 CPU s; the Delta extension costs as much to load
        days = query.replace("#", f"date '{after}'")
        with duckdb.connect() as connection:
            for bucket, day in connection.execute(f"with kept as (from {files_of(snapshot)}) {days} group by person_bucket").fetchall():
                if day is not None:
                    found[bucket] = min(found.get(bucket, day.isoformat()), day.isoformat())
    return found


def _path(workspace: Workspace) -> Path:
    return workspace.lake.control / "consent_days.json"
