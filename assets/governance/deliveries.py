"""The end of a run: are all deliveries accounted for, did one fail, which site is silent?

Belongs here: the last step of the job. It fails the run where a delivery could not be landed, after all others were landed, built and
published. Does not belong here: the adding up (`accounts`).
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from assets.alerts import Alert, read_alerts
from assets.asset_events import selected_partitions
from assets.governance.accounts import Accounts, FeedAccount, add_up
from assets.governance.deliveries_page import deliveries_page, trend_of
from assets.landing.workspace import Workspace
from assets.ledger.schema import DeliveryState
from assets.planning import consent_day, settle
from assets.resources import LakeResource
from assets.sites.site import Site
from assets.upkeep.vacuum import sweep_after_kill

DELIVERIES = dg.AssetKey(["govern", "deliveries"])
ALL_LANDED = "all_landed"
CONSERVED = "conserved"
NOBODY_ASIDE = "nobody_set_aside"
AUDIT_MARK = "audit_mark"
"""Metadata: row and hash of the newest row of the audit. Kept apart from the audit, so that a cut end shows."""


def deliveries_asset(sites: Mapping[str, Site], deps: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """`govern/deliveries`: accounts of every delivery, and the freshness of each site.

    Args:
        sites: All sites; each gets a freshness check.
        deps: What has to end before the accounts are drawn up.
    """
    fresh = [
        dg.AssetCheckSpec(f"fresh_{site}", asset=DELIVERIES, description=f"{site} delivered in the last {known.expected_every_days} days.")
        for site, known in sorted(sites.items())
    ]
    strict = [
        dg.AssetCheckSpec(ALL_LANDED, asset=DELIVERIES, description="No delivery of this run was left behind by an error."),
        dg.AssetCheckSpec(CONSERVED, asset=DELIVERIES, description="Every record ever delivered is landed, quarantined or a duplicate."),
        dg.AssetCheckSpec(
            NOBODY_ASIDE, asset=DELIVERIES, description="No person is left out of the tables because a model fails on their records."
        ),
    ]

    @dg.multi_asset(
        name="deliveries",
        specs=[
            dg.AssetSpec(
                DELIVERIES,
                deps=deps,
                group_name="govern",
                owners=["team:data-platform"],
                kinds={"sqlite"},
                description="Grain: one row a delivery, in the control database. What was delivered, landed, quarantined, refused. The page of the"
                " newest materialisation says what came from whom, what is late, what was refused and why, and how that changes.",
            )
        ],
        check_specs=[*strict, *fresh],
    )
    def _deliveries(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        workspace = lake.workspace()
        with lake.hold("closing the run"):
            left = _left_behind(context, workspace)
            sweep_after_kill(workspace)
            settle(workspace, as_of=consent_day(workspace, asked=lake.asked_day, today=lake.day))
        accounts = add_up(workspace, day=lake.day)
        yield dg.Output(
            None,
            output_name="govern__deliveries",
            metadata=_metadata(accounts) | {"page": _page(workspace, accounts, lake.day), AUDIT_MARK: str(workspace.audit.head())},
        )
        wrong = [f"{f.site}/{f.feed}" for f in accounts.feeds if not f.conserved]
        yield _result(
            ALL_LANDED, not left, {"failed": dg.MetadataValue.md("\n".join(f"- {a.subject}: {a.message}" for a in left) or "none")}
        )
        aside = [f"{h.model}, bucket {h.bucket}: {h.message}" for h in accounts.set_aside]
        yield _result(NOBODY_ASIDE, not aside, {"people": len(aside), "why": "; ".join(sorted(set(aside))) or "nobody is"})
        yield _result(CONSERVED, not wrong, {"not conserved": ", ".join(wrong) or "none"})
        for site in sorted(sites):
            yield _fresh(site, [f for f in accounts.feeds if f.site == site])
        if left or wrong:
            first = f"{left[0].subject}: {left[0].message}" if left else f"records of {', '.join(wrong)} are unaccounted for"
            raise dg.Failure(
                f"{len(left)} delivery(ies) could not be landed; all others were landed and built. First: {first}", allow_retries=False
            )

    return _deliveries


def _left_behind(context: dg.AssetExecutionContext, workspace: Workspace) -> list[Alert]:
    """Failures of this run, and accepted deliveries that it should have landed."""
    alerts = [a for a in read_alerts(workspace.root, run_id=context.run_id) if a.kind in ("delivery_failed", "door_failed")]
    known = {a.subject for a in alerts}
    wanted = selected_partitions(context)
    assets = context.run.asset_selection
    for key in workspace.deliveries.in_state(DeliveryState.ACCEPTED):
        ours = (wanted is None or key.site in wanted) and (assets is None or dg.AssetKey(["delivery", key.feed]) in assets)
        if ours and str(key) not in known and key.feed in _feeds(workspace, key.site):
            alerts.append(Alert("", "delivery_failed", str(key), "accepted, but not landed in this run", context.run_id))
    return alerts


def _feeds(workspace: Workspace, site: str) -> set[str]:
    return set(workspace.sites[site].feeds) if site in workspace.sites else set()


def _page(workspace: Workspace, accounts: Accounts, day: date) -> dg.MarkdownMetadataValue:
    trend = trend_of(workspace.deliveries.all_rows(), day)
    expected = {name: site.expected_every_days for name, site in workspace.sites.items()}
    return dg.MetadataValue.md(deliveries_page(accounts, trend, day=day, expected_days=expected))


def _metadata(accounts: Accounts) -> dict[str, Any]:
    """Numbers that Dagster plots from run to run."""
    feeds = accounts.feeds
    return {
        "dagster/row_count": sum(f.deliveries for f in feeds),
        "records_delivered": sum(f.delivered for f in feeds),
        "records_quarantined": sum(sum(f.quarantined.values()) for f in feeds),
        "deliveries_waiting": sum(f.waiting for f in feeds),
        "deliveries_refused": len(accounts.refused),
        "feeds_late": sum(f.late for f in feeds),
    }


def _result(name: str, passed: bool, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed, asset_key=DELIVERIES, check_name=name, severity=dg.AssetCheckSeverity.ERROR, metadata=metadata
    )


def _fresh(site: str, feeds: list[FeedAccount]) -> dg.AssetCheckResult:
    """Silence is a warning: a site that is late stops nobody."""
    silent = [f.feed for f in feeds if f.last_delivery is None]
    late = [f.feed for f in feeds if f.late]
    newest = max((f.last_delivery for f in feeds if f.last_delivery), default="never")
    return dg.AssetCheckResult(
        passed=not late and not silent,
        asset_key=DELIVERIES,
        check_name=f"fresh_{site}",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"last_delivery": newest, "late": ", ".join(late) or "none", "never_delivered": ", ".join(silent) or "none"},
    )
