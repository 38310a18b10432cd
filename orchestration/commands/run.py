"""`biodam run`: the Dagster job, in this process, if there is anything to do.

Belongs here: deciding that there is nothing to do without starting Dagster, starting it, summing up. Does not belong here: the job
(`orchestration/jobs.py`). The imports are inside the functions: an idle run must cost next to nothing.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets.quiet import code_version, consent_changes, default_sites_folder, is_quiet, sites_version
from assets.run_lock import hold_lake
from orchestration.errors import FAILED, OK, unknown_site
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.landing.workspace import Workspace

Say = Callable[[str], object]


@dataclass
class Summary:
    """What one run did. Counts of records but for `deliveries`, `models` and `buckets`.

    Attributes:
        deliveries: Delivery states -> how many deliveries of this run ended there.
        buckets: Person buckets rebuilt; None: all, or nothing was built.
        problems: What went wrong, one sentence each.
        set_aside: People whom the tables leave out, because a model fails on their records.
    """

    started: float = field(default_factory=time.monotonic)
    deliveries: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    landed: int = 0
    duplicate: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    built: bool = False
    full: bool = False
    models: int = 0
    buckets: int | None = None
    catalogue: str | None = None
    run_id: str | None = None
    problems: list[str] = field(default_factory=list)
    set_aside: int = 0

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def nothing(self) -> bool:
        """True where there was nothing to land, to build or to refuse."""
        return not self.deliveries and not self.built and not self.problems and self.run_id is None

    @property
    def code(self) -> int:
        """Exit code."""
        return FAILED if self.problems else OK


def run(settings: Settings, *, site: str | None = None, full: bool = False, say: Say = lambda _: None) -> Summary:
    """Land what is closed, build what changed, publish.

    Args:
        settings: Where things are.
        site: Land only this site's deliveries.
        full: Rebuild every table.
        say: Told of progress in one line each.

    Raises:
        LakeBusy: Another run holds the lake.
        UserError: There is no such site.
    """
    summary = Summary()
    sites = settings.sites_folder or default_sites_folder()
    if not full and is_quiet(settings.lake_root, sites, settings.day, asked=settings.as_of is not None):
        return summary
    with hold_lake(settings.lake_root, purpose="biodam run"):
        mark = _mark(settings)
        unchanged = mark.get("sites") == sites_version(sites)
        if not full and unchanged and mark.get("code") == code_version() and _only_twins(settings, site, summary):
            return summary
        from assets.landing.links import publish_links
        from assets.ledger.audit_spool import take_in
        from assets.upkeep.vacuum import sweep_after_kill

        workspace = settings.workspace()
        if site is not None and site not in workspace.sites:
            raise unknown_site(site, workspace.sites)
        sweep_after_kill(workspace)
        take_in(workspace.lake.read_spool, workspace.audit)
        before = _Before.of(workspace)
        say("taking in deliveries")
        feeds = _admit(workspace, site, summary, say)
        publish_links(workspace)
        if feeds or full or _build_is_due(settings, workspace, sites_unchanged=unchanged):
            _run_job(settings, feeds, site=site, full=full, summary=summary, say=say)
        elif not summary.problems:
            from assets.planning import consent_day, settle

            settle(workspace, as_of=consent_day(workspace, asked=settings.as_of, today=settings.day))
        _add_deliveries(workspace, before, summary)
        _add_build(workspace, before, summary)
    return summary


def _mark(settings: Settings) -> dict[str, Any]:
    """What the last run left where it had nothing open (`assets/quiet`); empty otherwise."""
    try:
        mark: dict[str, Any] = json.loads((settings.lake_root / "control" / "quiet.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return mark


def _only_twins(settings: Settings, site: str | None, summary: Summary) -> bool:
    """Record repeated deliveries where there is nothing else to do at all: the cheap way, half a CPU second."""
    if settings.control_url is not None or site is not None:
        return False
    from assets.feeds.twins import record_twins

    twins = record_twins(settings.lake_root, settings.lake_root / "inbox")
    if not twins:
        return False
    summary.deliveries["duplicate"] += len(twins)
    summary.delivered = summary.duplicate = sum(t.records for t in twins)
    return is_quiet(settings.lake_root, settings.sites_folder or default_sites_folder(), settings.day, asked=settings.as_of is not None)


@dataclass(frozen=True)
class _Before:
    """The ledger as the run found it."""

    states: Mapping[tuple[str, str, str], str]
    build: str | None

    @classmethod
    def of(cls, workspace: Workspace) -> _Before:
        states = {(r["site"], r["feed"], r["delivery_id"]): r["state"] for r in workspace.deliveries.all_rows()}
        return cls(states, (workspace.commits.last_build() or {}).get("run_id"))


def _admit(workspace: Workspace, site: str | None, summary: Summary, say: Say) -> set[str]:
    """Take deliveries through the door; feeds that have something to land, or landed something of which Dagster was not told."""
    from assets.feeds.intake import take_in
    from assets.ledger.schema import DeliveryState

    taken = take_in(workspace, sites=None if site is None else {site}, say=say)
    summary.problems += [f"{a.subject}: {a.message}" for a in taken.failures]
    return {k.feed for k in (*workspace.deliveries.in_state(DeliveryState.ACCEPTED, site=site), *workspace.deliveries.untold(site=site))}


def _build_is_due(settings: Settings, workspace: Workspace, *, sites_unchanged: bool) -> bool:
    """True where models or catalogue are behind: open changes, new code, new site files, consent that ages or came again, no catalogue."""
    commits = workspace.commits
    last = commits.last_build()
    if last is None or not workspace.lake.catalogue.exists():
        return bool(workspace.deliveries.all_rows())
    from assets.planning import catalogue_is_current, consent_day, sync_reference
    from assets.withdrawals import has_released

    day = consent_day(workspace, asked=settings.as_of, today=settings.day).isoformat()
    aged = last["as_of"] > day or consent_changes(last, day)
    if aged or last["code_version"] != code_version() or not commits.pending().nothing or has_released(workspace):
        return True
    return not catalogue_is_current(workspace) or (not sites_unchanged and (sync_reference(workspace) or _linkage_is_due(workspace)))


def _linkage_is_due(workspace: Workspace) -> bool:
    """True where site files say otherwise than before who may be linked by likeness."""
    from assets.landing.links import vault_exists
    from assets.privacy.likeness import has_changed

    if not vault_exists(workspace):
        return False
    with workspace.vault.transaction() as (connection, _):
        return has_changed(connection, workspace.links_by_likeness)


def _run_job(settings: Settings, feeds: set[str], *, site: str | None, full: bool, summary: Summary, say: Say) -> None:
    """Execute the job with the lake's own Dagster instance, so that the UI shows the run."""
    from assets.dbt_manifest import is_current, parse_project

    settings.export()
    settings.write_dagster_home()
    if not is_current():
        say("reading the dbt project")
        parse_project()
    say("starting Dagster")
    import dagster as dg

    from orchestration.build import build_defs
    from orchestration.jobs import JOB

    definitions = build_defs(settings=settings)
    job = definitions.resolve_job_def(JOB)
    selection = [k for k in job.asset_layer.executable_asset_keys if k.path[0] not in ("raw", "delivery") or _feed_of(job, k) in feeds]
    config = {"ops": {"warehouse": {"config": {"full": full}}}, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance, _listening(say), _nothing_on_stdout():
        _free_slots_of_the_dead(instance)
        result = job.execute_in_process(
            instance=instance,
            asset_selection=selection,
            run_config=config,
            partition_key=site,
            raise_on_error=False,
            tags={"biodam/by": "cli"},
        )
    summary.run_id = result.run_id
    if not result.success:
        summary.problems += _failures(result)


def _free_slots_of_the_dead(instance: Any) -> None:
    """Give back the place of the one dbt writer that a killed run still holds: Dagster would wait for it for ever.

    We hold the lake, so no other run builds; one that only waits for the lake loses nothing, as the lake's lock is what keeps writers apart.
    """
    storage = instance.event_log_storage
    for key in storage.get_concurrency_keys():
        found = storage.get_concurrency_info(key)
        for run_id in {*found.active_run_ids, *found.pending_run_ids}:
            storage.free_concurrency_slots_for_run(run_id)


def _feed_of(job: Any, key: Any) -> str | None:
    """Feed whose step makes an asset."""
    definition = job.asset_layer.asset_graph.get(key).assets_def
    return next((k.path[1] for k in definition.keys if k.path[0] == "delivery"), None)


def _failures(result: Any) -> list[str]:
    """One sentence a failed step; steps that only fell with another are left out."""
    found = []
    for event in result.all_events:
        if event.is_step_failure and (error := event.step_failure_data.error) is not None:
            failure = event.step_failure_data.user_failure_data
            root = error
            while root.cause is not None:
                root = root.cause
            text = failure.description if failure is not None else root.message.strip()
            found.append(f"{event.step_key}: {' '.join((text or 'failed').split())[:600]}")
    return found or ["the run failed before any step"]


@contextlib.contextmanager
def _listening(say: Say) -> Iterator[None]:
    """Hand on what steps report, and keep everything else off the terminal."""

    class _Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            meta = getattr(record, "dagster_meta", None)
            if meta is not None and meta.get("orig_message") and "dagster_event" not in meta and record.levelno >= logging.INFO:
                say(str(meta["orig_message"]))

    logger, handler = logging.getLogger("dagster"), _Handler()
    level, kept = logger.level, list(logger.handlers)
    logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = kept, True
        logger.setLevel(level)


@contextlib.contextmanager
def _nothing_on_stdout() -> Iterator[None]:
    """Stdout belongs to the summary."""
    with contextlib.redirect_stdout(io.StringIO() if sys.stdout.isatty() else sys.stderr):
        yield


def _add_deliveries(workspace: Workspace, before: _Before, summary: Summary) -> None:
    """Deliveries whose state this run changed."""
    for row in workspace.deliveries.all_rows():
        key = (row["site"], row["feed"], row["delivery_id"])
        if before.states.get(key) == row["state"]:
            continue
        summary.deliveries[row["state"]] += 1
        summary.delivered += row["delivered"]
        summary.landed += row["landed"]
        summary.duplicate += row["duplicate"]
        if row["state"] == "refused":
            summary.refused.append(("/".join(key), row["reason"] or "", row["detail"] or ""))
        if row["quarantined"]:
            for entry in workspace.deliveries.quarantined(site=key[0], feed=key[1], delivery_id=key[2]):
                summary.quarantined[entry["reason"]] += entry["records"]


def _add_build(workspace: Workspace, before: _Before, summary: Summary) -> None:
    catalogue = workspace.lake.catalogue
    summary.catalogue = str(catalogue) if catalogue.exists() else None
    summary.set_aside = len(workspace.set_aside.all())
    last = workspace.commits.last_build()
    if last is None or last["run_id"] == before.build:
        return
    from assets.planning import model_commits

    written = {(e["schema"], e["model"]) for e in model_commits(workspace.root, last["run_id"]) if e.get("strategy") != "unchanged"}
    summary.built, summary.full, summary.models = True, bool(last["full"]), len(written)
    summary.buckets = None if last["buckets"] is None else len(last["buckets"])
