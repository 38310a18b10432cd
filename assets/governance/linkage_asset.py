"""Linkage in Dagster: after landing, before the models are built.

Belongs here: what Dagster is told, counts only. Does not belong here: comparing people (`assets/privacy/linkage`), the queue
(`assets/privacy/review`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.asset_events import must_report_all, still_current
from assets.landing.links import publish_links, vault_exists
from assets.privacy.linkage import LinkageFailed, Linked, link_people
from assets.resources import LakeResource

LINKAGE = dg.AssetKey(["govern", "linkage"])
QUEUE, COMPARED = "review_queue_is_answered", "people_were_compared"


def linkage_asset(landings: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """`govern/linkage`: who is one person though no common number says so.

    Args:
        landings: Assets whose steps bring people.
    """
    spec = dg.AssetSpec(
        LINKAGE,
        deps=list(landings),
        group_name="govern",
        owners=["team:governance"],
        kinds={"duckdb"},
        skippable=True,
        description="Grain: one linkage a run that brought new or changed descriptions of people. Compares them in a process of its own, merges the sure"
        " pairs and puts the unsure before a data steward (`biodam identity review`). Counts only: no value leaves the vault.",
    )
    checks = [
        dg.AssetCheckSpec(QUEUE, asset=LINKAGE, description="No pair of people waits for a data steward."),
        dg.AssetCheckSpec(
            COMPARED, asset=LINKAGE, description="The comparing process ended well. If not, nobody was merged and the models are built."
        ),
    ]

    @dg.multi_asset(name="linkage", specs=[spec], check_specs=checks)
    def linkage(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        done, failure = _link(lake)
        if failure:
            context.log.error(failure)
        if done.descriptions or done.left_out or done.withdrawn or must_report_all(context):
            yield dg.Output(None, output_name="govern__linkage", metadata=_metadata(done))
        else:
            yield still_current("govern__linkage")
        yield dg.AssetCheckResult(
            passed=not done.open_reviews, asset_key=LINKAGE, check_name=QUEUE, severity=dg.AssetCheckSeverity.WARN,
            metadata={"open_reviews": done.open_reviews},
        )  # fmt: skip
        yield dg.AssetCheckResult(passed=failure is None, asset_key=LINKAGE, check_name=COMPARED, description=failure)

    return linkage


def _link(lake: LakeResource) -> tuple[Linked, str | None]:
    """What was done, and why not where the comparing process failed: records are not held up by a comparison."""
    workspace = lake.workspace()
    if not vault_exists(workspace):
        return Linked(), None
    with lake.hold("linking people"):
        try:
            done, failure = link_people(workspace.vault, workspace.lake.vault, workspace.links_by_likeness), None
        except LinkageFailed as error:
            done, failure = Linked(), str(error)
        publish_links(workspace)
    return done, failure


def _metadata(done: Linked) -> dict[str, Any]:
    """Numbers that Dagster plots from run to run."""
    return {
        "descriptions": done.descriptions,
        "pairs_compared": done.compared,
        "people_merged": done.merged,
        "pairs_queued": done.proposed,
        "pairs_kept_apart": done.kept_apart,
        "open_reviews": done.open_reviews,
        "descriptions_left_out": done.left_out,
        "pairs_withdrawn": done.withdrawn,
        "sites_left_out": ", ".join(sorted(done.sites_left_out)) or "none",
    }
