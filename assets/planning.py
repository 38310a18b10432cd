"""What the next dbt build has to rebuild, and what it left behind.

Belongs here: turning open changes, consent that ages and new code into a plan; recording the build. Does not belong here: running dbt
(`assets/warehouse`), landing.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from assets.consent_days import aged_buckets, note_days
from assets.lake import tables
from assets.lake.commits import newest_version, read_snapshot, unrecorded_commits
from assets.lake.poison import reported_poison
from assets.lake.versions import files_of
from assets.landing.workspace import Workspace
from assets.ledger.commits import CommitEntry, PendingChange
from assets.ledger.schema import DeliveryState
from assets.quiet import break_quiet, code_version, default_sites_folder, is_quiet, mark_quiet
from assets.sites.site import Site
from assets.withdrawals import has_released, note_withdrawn

LINKS = "raw/people/link"

_SITE_SCHEMA = pa.schema([
    ("site", pa.string()), ("site_name", pa.string()), ("kind", pa.string()), ("legal_basis", pa.string()), ("time_zone", pa.string()),
])  # fmt: skip
_CODE_SCHEMA = pa.schema([
    ("site", pa.string()), ("source_system", pa.string()), ("source_code", pa.string()), ("target_system", pa.string()),
    ("target_code", pa.string()), ("unit", pa.string()),
])  # fmt: skip


@dataclass(frozen=True)
class BuildPlan:
    """One dbt build.

    Attributes:
        run_id: Names the build in ledger, tables and Dagster.
        batch: Grows by one with every build; the app transaction version of its commits.
        as_of: Day on which consent is judged.
        full: Rebuild every table whole.
        buckets: Person buckets to rebuild, ascending; None where full.
        source_buckets: Buckets to read in raw tables: `buckets`, those of aliases merged into their people, and those that hold other
            versions of their records.
        raw_versions: Table key -> version that the build reads.
        model_versions: Key of a dbt model's table -> newest version the ledger recorded; a table behind it is torn.
        held: Ids of people who are left out, because a model fails on their records.
    """

    run_id: str
    batch: int
    as_of: str
    full: bool
    buckets: list[int] | None
    source_buckets: list[int] | None
    raw_versions: Mapping[str, int]
    model_versions: Mapping[str, int]
    held: list[int] = field(default_factory=list)


def consent_day(workspace: Workspace, *, asked: date | None, today: date) -> date:
    """Day on which a build judges consent: the one asked for, else today, but never before the day of the last build.

    By a clock that went back, consent that has ended would be in force again. A day that is asked for may lie before the last build's; everything is
    then built for it.

    Args:
        workspace: The lake.
        asked: `BIODAM_AS_OF`, or None.
        today: What the clock says.
    """
    last = workspace.commits.last_build()
    if asked is not None or last is None:
        return asked or today
    return max(today, date.fromisoformat(last["as_of"]))


def next_build(workspace: Workspace, *, as_of: date, full: bool = False, again: bool = False) -> BuildPlan | None:
    """Decide what the next build rebuilds and write `control/plan.json`.

    Args:
        workspace: The lake.
        as_of: Day on which consent is judged.
        full: Rebuild everything, and try everybody who is set aside again.
        again: The same build once more, without the people whom the first attempt set aside.

    Returns:
        The plan, or None where nothing changed since the last finished build: then dbt need not start.
    """
    commits = workspace.commits
    for run_id in commits.unfinished_builds():
        _settle_killed_build(workspace, run_id)
    last, pending, version = commits.last_build(), commits.pending(), _build_version()
    everything = full or last is None or last["code_version"] != version or pending.buckets is None or last["as_of"] > as_of.isoformat()
    aged: frozenset[int] = frozenset()
    if not everything and last is not None:
        aged = aged_buckets(workspace, last_run=last["run_id"], since=date.fromisoformat(last["as_of"]), until=as_of)
    if not everything and pending.nothing and not aged:
        return None
    buckets = None if everything else sorted((pending.buckets or frozenset()) | aged)
    recorded = commits.latest_versions()
    versions = {k: v for k, v in recorded.items() if k.startswith(("raw/", "reference/"))}
    plan = BuildPlan(
        run_id=uuid.uuid4().hex,
        batch=commits.build_count() + 1,
        as_of=as_of.isoformat(),
        full=everything,
        buckets=buckets,
        source_buckets=None if buckets is None else sorted(commits.read_with({*buckets, *_alias_buckets(workspace, buckets)})),
        raw_versions=versions,
        model_versions={k: v for k, v in recorded.items() if k not in versions},
        held=_held(workspace, version, everybody_back=full and not again),
    )
    break_quiet(workspace.root)
    _write_json(workspace.root / "control" / "plan.json", asdict(plan))
    commits.start_build(plan.run_id, as_of=plan.as_of, full=plan.full, buckets=plan.buckets, version=version)
    return plan


def _held(workspace: Workspace, version: str, *, everybody_back: bool) -> list[int]:
    """Ids of people to leave out: nothing has changed for them since a model failed on their records."""
    bad = [] if everybody_back else workspace.set_aside.still_bad(code_version=version)
    return sorted(i for held in bad for i in held.ids)


def set_poison_aside(workspace: Workspace, plan: BuildPlan) -> list[str]:
    """Take note of the people on whose records a failed build stopped, so that the next leaves them out.

    Returns:
        One sentence a model; empty where the build failed for another reason.
    """
    said = []
    for model, message, people in reported_poison(workspace.lake, plan.run_id):
        rows = [{"person_id": p.person_id, "bucket": p.bucket, "ids": list(p.ids), "places": list(p.places)} for p in people]
        workspace.set_aside.add(rows, model=model, message=message, code_version=_build_version())
        places = "; ".join(place for p in people for place in p.places[:6])
        said.append(
            f"{len(people)} person(s) of bucket(s) {', '.join(str(b) for b in sorted({p.bucket for p in people}))} set aside: model {model} fails on"
            f" their records ({message}). Look at {places}. Remedy: have the record corrected, or mend the model; both try again by themselves"
        )
    return said


def _settle_killed_build(workspace: Workspace, run_id: str) -> None:
    """What a killed build committed is good, and the ledger has to know it, the commit it died after included."""
    commits = workspace.commits
    record_model_commits(workspace, model_commits(workspace.root, run_id))
    for key, version in commits.latest_versions().items():
        if not key.startswith(("raw/", "reference/", "cohort/")) and newest_version(workspace.lake, key) != version:
            for found in unrecorded_commits(workspace.lake, key, version):
                commits.record(CommitEntry(key, found.version, found.rows, found.files, found.log_sha256, f"build {run_id}"))
    workspace.audit.append("build.killed", run_id=run_id)
    commits.fail_build(run_id)


def finish_build(workspace: Workspace, plan: BuildPlan, *, covered: PendingChange | None = None) -> list[dict[str, Any]]:
    """Record what a build committed and mark its changes as built.

    Args:
        workspace: The lake.
        plan: The plan that was built.
        covered: Changes the plan was made from; by default all that are open (the run lock keeps others out).

    Returns:
        One entry a model, as the dbt plugin wrote them (`control/dbt_commits.jsonl`).
    """
    entries = model_commits(workspace.root, plan.run_id)
    record_model_commits(workspace, entries)
    note_withdrawn(workspace, buckets=plan.buckets, left_out=plan.held)
    left_out = set(plan.held)
    workspace.set_aside.keep_only([h.person_id for h in workspace.set_aside.all() if left_out.issuperset(h.ids)])
    changes = covered or workspace.commits.pending()
    workspace.audit.append("build.finished", run_id=plan.run_id, models=len(entries))
    last, day = workspace.commits.last_build(), date.fromisoformat(plan.as_of)
    last_run = None if last is None else last["run_id"]
    change = note_days(workspace, run_id=plan.run_id, last_run=last_run, as_of=day, buckets=plan.buckets)
    workspace.commits.finish_build(plan.run_id, changes, next_consent_change=change)
    return entries


def record_model_commits(workspace: Workspace, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write ledger rows for commits of dbt models."""
    workspace.commits.record_all(
        CommitEntry(f"{e['schema']}/{e['model']}", e["version"], e["rows_written"], e["files"], e.get("log_sha256"), f"build {e['run_id']}")
        for e in entries
    )


def fail_build(workspace: Workspace, plan: BuildPlan) -> None:
    """Record that a build failed: what it committed is in the ledger, its changes stay open, the next run builds them again."""
    record_model_commits(workspace, model_commits(workspace.root, plan.run_id))
    workspace.audit.append("build.failed", run_id=plan.run_id)
    workspace.commits.fail_build(plan.run_id)


def model_commits(root: Path, run_id: str) -> list[dict[str, Any]]:
    """The dbt plugin's account of one build, one entry a model."""
    path = root / "control" / "dbt_commits.jsonl"
    if not path.exists():
        return []
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [entry for entry in entries if entry["run_id"] == run_id]


def settle(workspace: Workspace, *, as_of: date) -> bool:
    """Leave the mark that makes the next idle run free, if nothing is open. Returns whether it was left."""
    open_states = (DeliveryState.WAITING, DeliveryState.ACCEPTED)
    last = workspace.commits.last_build()
    if last is None or not workspace.commits.pending().nothing or workspace.deliveries.in_state(*open_states):
        return False
    if not catalogue_is_current(workspace) or has_released(workspace):
        return False
    folder = workspace.sites_folder or default_sites_folder()
    mark_quiet(workspace.root, folder, as_of=as_of, next_consent_change=last["next_consent_change"])
    return True


def note_published(workspace: Workspace) -> None:
    """The catalogue shows the last finished build."""
    last = workspace.commits.last_build()
    if last is not None:
        _write_json(workspace.root / "control" / "published.json", {"run_id": last["run_id"]})


def catalogue_is_current(workspace: Workspace) -> bool:
    """False where the last build ended well and publishing it did not: the next run has to, though nothing else is open."""
    last = workspace.commits.last_build()
    try:
        noted = json.loads((workspace.root / "control" / "published.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return last is None
    return last is None or bool(noted["run_id"] == last["run_id"])


def sync_reference(workspace: Workspace) -> bool:
    """Write `reference/site` and `reference/code_map` from the site files if they say something new.

    Returns:
        True where the tables were written; then everything is rebuilt.
    """
    sites = [workspace.sites[name] for name in sorted(workspace.sites)]
    site_rows = [_site_row(site) for site in sites]
    code_rows = [row for site in sites for row in _code_rows(site)]
    digest = hashlib.sha256(json.dumps([site_rows, code_rows], sort_keys=True).encode()).hexdigest()[:16]
    cause = f"reference {digest}"
    if workspace.commits.last_reference() == cause:
        return False
    # `reference/site` is last: once the ledger has it, nobody comes back
    newest = workspace.commits.latest_version("reference/site")
    workspace.commits.note_change(f"{cause} at {0 if newest is None else newest + 1}", [], touches_everything=True)
    for key, rows, schema in (("reference/code_map", code_rows, _CODE_SCHEMA), ("reference/site", site_rows, _SITE_SCHEMA)):
        write_reference(workspace, key, pa.Table.from_pylist(rows, schema=schema), cause=cause)
    return True


def write_reference(workspace: Workspace, key: str, table: pa.Table, *, cause: str) -> None:
    """Replace one reference table (not about people) whole and record the commit."""
    break_quiet(workspace.root)
    tables.overwrite(
        workspace.lake, key, table.to_reader(), expected_version=workspace.commits.latest_version(key),
        record_commit=workspace.recorder(cause),
    )  # fmt: skip


def _site_row(site: Site) -> dict[str, str]:
    zone = next(iter(site.feeds.values())).time_zone
    return {"site": site.site, "site_name": site.name, "kind": site.kind, "legal_basis": site.legal_basis, "time_zone": zone}


def _code_rows(site: Site) -> list[dict[str, str | None]]:
    return [
        {"site": site.site, "source_system": system, "source_code": code, "target_system": t.system, "target_code": t.code, "unit": t.unit}
        for system, codes in sorted(site.codes.items())
        for code, t in sorted(codes.items())
    ]


def _alias_buckets(workspace: Workspace, buckets: list[int]) -> set[int]:
    if not buckets:
        return set()
    query = f"select distinct alias_bucket from events where person_bucket in ({', '.join(str(int(b)) for b in buckets)})"
    return {bucket for (bucket,) in _query_table(workspace, LINKS, query)}


def _query_table(workspace: Workspace, key: str, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query over a table named `events`.

    The files of the version are read as they are: loading the Delta extension costs 0.2 to 1 CPU s. Literals only: a bound parameter makes
    DuckDB import pandas, about 1 CPU s.
    """
    version = workspace.commits.latest_version(key)
    if version is None or not (snapshot := read_snapshot(workspace.lake, key, version)).files:
        return []
    with duckdb.connect() as connection:
        events = f"from {files_of(snapshot, union_by_name=True)}"
        return connection.execute(f"with events as ({events}) {query}").fetchall()


def _build_version() -> str:
    return code_version()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    os.replace(temporary, path)


__all__ = [
    "BuildPlan", "catalogue_is_current", "code_version", "consent_day", "fail_build", "finish_build", "is_quiet", "model_commits", "next_build", "note_published", "record_model_commits", "set_poison_aside", "settle",
    "sync_reference", "write_reference",
]  # fmt: skip
