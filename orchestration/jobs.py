"""The jobs. One brings data in: land what is closed, build what changed, publish, close the accounts.

Belongs here: what a run consists of. Does not belong here: when it runs (`schedules`, `sensors`, `cli`).
"""

from __future__ import annotations

import dagster as dg

JOB = "biodam"

_UPKEEP = dg.AssetSelection.groups("upkeep")

everything = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.all() - _UPKEEP,
    description="Deliveries -> raw tables -> dbt models -> catalogue -> accounts. `biodam run` executes this very job; nothing new costs little.",
    executor_def=dg.in_process_executor,
)

upkeep = dg.define_asset_job(
    "upkeep",
    selection=dg.AssetSelection.assets(["upkeep", "compaction"], ["upkeep", "vacuum"], ["upkeep", "erasures"]),
    description="Small files merged, files that nobody reads taken away, erasures looked at again. `biodam compact`, `biodam vacuum` and `biodam receipt list` do the same.",
    executor_def=dg.in_process_executor,
)

scrub = dg.define_asset_job(
    "scrub",
    selection=dg.AssetSelection.assets(["upkeep", "verification"]),
    description="Every byte of tables and landing store compared with the ledger, as `biodam verify --deep` does.",
    executor_def=dg.in_process_executor,
)

linkage_exam = dg.define_asset_job(
    "linkage_exam",
    selection=dg.AssetSelection.assets(["upkeep", "linkage_score"]),
    description="Made people are linked by the rules as they are and compared with the truth. Touches no person of the lake.",
    executor_def=dg.in_process_executor,
)
