"""What starts the job by itself: a closed delivery in the inbox, a day on which somebody's consent begins or ends.

Belongs here: looking at folder names and manifests, and at what the last build said of the next change of consent. Does not belong here: judging a
delivery (`assets/landing/door`), finding who is touched (`assets/planning`).
"""

import hashlib
import json
from pathlib import Path

import dagster as dg

from assets.landing.door import closed_folders, sha256_of
from assets.landing.folders import told_names
from assets.landing.manifest import MANIFEST
from assets.quiet import consent_changes
from assets.resources import LakeResource
from assets.sites.feed_kinds import FEED_KINDS
from orchestration.jobs import everything

CONSENT_FEEDS = frozenset(name for name, kind in FEED_KINDS.items() if kind.family == "consent")
FIRST = {"dagster/priority": "10"}
"""Tag of runs that the queue starts before others: somebody may have withdrawn."""


@dg.sensor(
    name="closed_deliveries",
    job=everything,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="One run a site with new closed deliveries. The run key names them, so a delivery seen again starts nothing. Consent events"
    " get a run of their own, which goes before others in the queue.",
)
def closed_deliveries(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run for each site that has deliveries this sensor has not seen."""
    waiting = waiting_deliveries(Path(lake.root) / "inbox")
    seen = set(json.loads(context.cursor or "[]"))
    together: dict[tuple[bool, str], list[str]] = {}
    for key in sorted(waiting - seen):
        site, feed, *_ = key.split("/")
        together.setdefault((feed not in CONSENT_FEEDS, site), []).append(key)
    if not together:
        return dg.SkipReason("no new closed delivery")
    known = set(lake.workspace().sites)
    requests = [run_request(site, keys, is_known=site in known, waits=waits) for (waits, site), keys in sorted(together.items())]
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(sorted(waiting)))


def waiting_deliveries(inbox: Path) -> set[str]:
    """`site/feed/delivery_id/manifest sha256/time of its manifest` of each closed delivery. The time tells a refused one that is sent again."""
    found = set()
    for folder in closed_folders(inbox):
        try:
            manifest = folder / MANIFEST
            found.add("/".join((*told_names(folder), sha256_of(manifest), str(manifest.stat().st_mtime_ns))))
        except FileNotFoundError:
            continue  # a run has just taken it in
    return found


def run_request(site: str, keys: list[str], *, is_known: bool, waits: bool = True) -> dg.RunRequest:
    """A run of the site's partition; a site without a file has none, so its deliveries are refused in a run over all sites.

    Args:
        site: The site.
        keys: Its deliveries.
        is_known: It has a site file.
        waits: In its turn; else before others.
    """
    run_key = keys[0] if len(keys) == 1 else f"{site}/{hashlib.sha256(' '.join(keys).encode()).hexdigest()}"
    tags = {"biodam/site": site, "biodam/deliveries": str(len(keys)), **({} if waits else FIRST)}
    return dg.RunRequest(run_key=run_key, partition_key=site if is_known else None, tags=tags)


@dg.sensor(
    name="aged_consent",
    job=everything,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="A run on the day on which consent begins or ends by itself: those people's buckets are rebuilt. The run key names the last build and"
    " the day, so that one asks once; a run that fails is asked for again the next day.",
)
def aged_consent(lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run where the next change of consent that the last build foresaw has come."""
    workspace = lake.workspace()
    last = workspace.commits.last_build() if workspace.lake.catalogue.exists() else None
    if last is None:
        return dg.SkipReason("nothing was built yet")
    change, today = last["next_consent_change"], lake.day.isoformat()
    if not consent_changes(last, today):
        return dg.SkipReason(f"no consent begins or ends before {change or 'somebody says so'}")
    run_key = f"consent/{change}/{last['run_id']}/{today}"
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=run_key, tags={"biodam/consent_change": change, **FIRST})])
