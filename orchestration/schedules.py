"""When the jobs run without being asked."""

from __future__ import annotations

import dagster as dg

from orchestration.jobs import everything, linkage_exam, scrub, upkeep


def _schedule(name: str, job: dg.UnresolvedAssetJobDefinition, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="Asia/Seoul",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )


nightly = _schedule(
    "nightly",
    everything,
    "0 2 * * *",
    "Once a night: consent that begins or ends today is built in, and whatever a sensor missed is landed.",
)
nightly_upkeep = _schedule(
    "nightly_upkeep", upkeep, "0 4 * * *", "Once a night, after the build: small files are merged, files that nobody reads are taken away."
)
weekly_scrub = _schedule("weekly_scrub", scrub, "0 5 * * 0", "On Sundays: every byte of the lake is compared with the ledger.")
monthly_linkage_exam = _schedule(
    "monthly_linkage_exam", linkage_exam, "0 6 1 * *", "On the first of the month: precision and recall of linkage on made people."
)

SCHEDULES = [nightly, nightly_upkeep, weekly_scrub, monthly_linkage_exam]
