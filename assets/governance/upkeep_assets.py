"""Upkeep of the lake as Dagster assets: what was merged, taken away and found damaged, night after night.

Belongs here: what Dagster is told. Does not belong here: the work (`assets/upkeep`), the hours (`orchestration/schedules.py`).
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from assets.alerts import raise_alert
from assets.resources import LakeResource
from assets.upkeep.compaction import compact
from assets.upkeep.vacuum import vacuum
from assets.upkeep.verify import verify

GROUP = "upkeep"
_OWNERS = ["team:data-platform"]
COMPACTION = dg.AssetKey(["upkeep", "compaction"])
VACUUM = dg.AssetKey(["upkeep", "vacuum"])
VERIFICATION = dg.AssetKey(["upkeep", "verification"])
WHOLE = "whole"


@dg.asset(
    key=COMPACTION,
    group_name=GROUP,
    owners=_OWNERS,
    kinds={"deltalake"},
    description="Grain: one row a raw table whose small files were merged. Changes no row; the next build finds nothing new.",
)
def compaction(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
    """Merge small files of raw tables."""
    with lake.hold("compaction"):
        done = compact(lake.workspace(), say=context.log.info)
    rows = [dg.TableRecord({"table": d.table, "version": d.version, "before": d.before, "after": d.after, "rows": d.rows}) for d in done]
    return dg.MaterializeResult(metadata={"tables": len(done), **({"merged": dg.MetadataValue.table(rows)} if rows else {})})


@dg.asset(
    key=VACUUM,
    deps=[COMPACTION],
    group_name=GROUP,
    owners=_OWNERS,
    kinds={"deltalake"},
    description="Grain: one row a table from which files were taken away that nobody reads. Keeps what the catalogue names, and the retention.",
)
def vacuuming(lake: LakeResource) -> dg.MaterializeResult[Any]:
    """Take away files that nobody reads."""
    with lake.hold("vacuum"):
        done = vacuum(lake.workspace(), retention=timedelta(days=lake.retention_days))
    by_table = dg.MetadataValue.json({table: len(names) for table, names in done.files.items()})
    counts = {"files": sum(map(len, done.files.values())), "bytes": done.bytes, "retention_days": lake.retention_days}
    return dg.MaterializeResult(metadata={**counts, "by_table": by_table, "left_alone": dg.MetadataValue.json(done.skipped)})


@dg.multi_asset(
    name="verification",
    specs=[
        dg.AssetSpec(
            VERIFICATION,
            group_name=GROUP,
            owners=_OWNERS,
            kinds={"sqlite"},
            description="Grain: one difference between lake and ledger. Every file of tables and landing store is read and hashed.",
        )
    ],
    check_specs=[dg.AssetCheckSpec(WHOLE, asset=VERIFICATION, description="Every file is what was written.")],
)
def verification(lake: LakeResource) -> Iterator[Any]:
    """Compare every byte with the ledger; a difference is an alert and fails the run."""
    workspace = lake.workspace()
    with lake.hold("verification"):
        found = verify(workspace, deep=True)
    lines = [f.line for f in found.findings]
    counts = {"tables": found.tables, "files": found.files, "bytes": found.bytes, "differences": len(lines)}
    yield dg.Output(None, output_name="upkeep__verification", metadata=counts)
    listed = dg.MetadataValue.md("\n".join(f"- {line}" for line in lines[:200]) or "none")
    yield dg.AssetCheckResult(asset_key=VERIFICATION, check_name=WHOLE, passed=found.whole, metadata={"differences": listed})
    if lines:
        raise_alert(
            workspace.root, "lake_damaged", "verification", f"{len(lines)} difference(s). First: {lines[0]}. Remedy: `biodam repair`"
        )
        raise dg.Failure(
            f"{len(lines)} difference(s) between lake and ledger. First: {lines[0]}. Remedy: `biodam repair`", allow_retries=False
        )


UPKEEP = [compaction, vacuuming, verification]
"""Every asset of upkeep."""
