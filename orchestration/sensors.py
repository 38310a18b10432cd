"""What starts the job by itself: a closed delivery in the inbox.

Belongs here: looking at folder names and manifests. Does not belong here: judging a delivery (`assets/landing/door`).
"""

import hashlib
import json
from pathlib import Path

import dagster as dg

from assets.landing.door import closed_folders, sha256_of
from assets.landing.folders import told_names
from assets.landing.manifest import MANIFEST
from assets.resources import LakeResource
from orchestration.jobs import everything


@dg.sensor(
    name="closed_deliveries",
    job=everything,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="One run a site with new closed deliveries. The run key names them, so a delivery seen again starts nothing.",
)
def closed_deliveries(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run for each site that has deliveries this sensor has not seen."""
    waiting = waiting_deliveries(Path(lake.root) / "inbox")
    seen = set(json.loads(context.cursor or "[]"))
    by_site: dict[str, list[str]] = {}
    for key in sorted(waiting - seen):
        by_site.setdefault(key.split("/")[0], []).append(key)
    if not by_site:
        return dg.SkipReason("no new closed delivery")
    known = set(lake.workspace().sites)
    requests = [run_request(site, keys, is_known=site in known) for site, keys in by_site.items()]
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


def run_request(site: str, keys: list[str], *, is_known: bool) -> dg.RunRequest:
    """A run of the site's partition; a site without a file has none, so its deliveries are refused in a run over all sites."""
    run_key = keys[0] if len(keys) == 1 else f"{site}/{hashlib.sha256(' '.join(keys).encode()).hexdigest()}"
    tags = {"biodam/site": site, "biodam/deliveries": str(len(keys))}
    return dg.RunRequest(run_key=run_key, partition_key=site if is_known else None, tags=tags)
