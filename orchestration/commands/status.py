"""`biodam status`. Does not belong here: adding up (`assets/governance/accounts`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestration.commands.show import table
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.governance.accounts import Accounts


def read_accounts(settings: Settings, site: str | None) -> Accounts:
    """Accounts of the lake.

    Raises:
        UserError: No such site, and none ever delivered under that name.
    """
    from assets.governance.accounts import add_up
    from orchestration.errors import unknown_site

    workspace = settings.workspace()
    accounts = add_up(workspace, day=settings.day, site=site)
    if site is not None and not accounts.feeds:
        raise unknown_site(site, workspace.sites)
    return accounts


def as_dict(settings: Settings, accounts: Accounts) -> dict[str, Any]:
    """Plain values."""
    return {
        "lake": str(settings.lake_root),
        "day": settings.day.isoformat(),
        "conserved": accounts.conserved,
        "feeds": [f.as_json() for f in accounts.feeds],
        "refused": [asdict(r) for r in accounts.refused],
        "drift": [asdict(c) for c in accounts.drift],
        "withheld": accounts.withheld,
        "set_aside": [h.shown() for h in accounts.set_aside],
    }


def as_text(settings: Settings, accounts: Accounts) -> str:
    """Tables for people."""
    header = [
        "site",
        "feed",
        "deliveries",
        "delivered",
        "landed",
        "quarantined",
        "duplicate",
        "conserved",
        "waiting",
        "last delivery",
        "late",
    ]
    rows: list[list[object]] = [
        [
            f.site, f.feed, f.deliveries, f.delivered, f.landed, sum(f.quarantined.values()), f.duplicate, f.conserved, f.waiting,
            (f.last_delivery or "never")[:16].replace("T", " "), f.late,
        ]
        for f in accounts.feeds
    ]  # fmt: skip
    parts = [f"Lake {settings.lake_root}", table(header, rows) if rows else "No site files and no deliveries."]
    reasons = [[f.site, f.feed, reason, n] for f in accounts.feeds for reason, n in sorted(f.quarantined.items())]
    if reasons:
        parts.append("In quarantine (`biodam quarantine list` names file, record and rule; docs/QUARANTINE.md says what to do)")
        parts.append(table(["site", "feed", "reason", "records"], reasons))
    if accounts.refused:
        parts.append("Refused deliveries")
        parts.append(
            table(
                ["delivery", "reason", "what and what to do"],
                [[f"{r.site}/{r.feed}/{r.delivery_id}", r.reason, r.detail] for r in accounts.refused],
            )
        )
    if accounts.drift:
        parts.append(
            "Deliveries with other columns than the one before (what no rule names does not pass; a needed column that is gone is refused)"
        )
        parts.append(table(["delivery", "columns"], [[f"{c.site}/{c.feed}/{c.delivery_id}", c.said] for c in accounts.drift]))
    if accounts.withheld:
        parts.append(
            "Values that did not pass, because they look like a person's number or address (correct the column map of the site file, or the source)"
        )
        held_back = [
            [f"{w['site']}/{w['feed']}/{w['delivery_id']}", w["entity"], w["column_name"], w["withheld"]] for w in accounts.withheld
        ]
        parts.append(table(["delivery", "table", "column", "values"], held_back))
    if accounts.set_aside:
        parts.append("People left out of all tables, because a model fails on their records (docs/OPERATIONS.md)")
        held = [[h.bucket, h.model, h.message, "; ".join(h.places[:6])] for h in accounts.set_aside]
        parts.append(table(["bucket", "model", "why", "raw table, site, delivery: records"], held))
    if not accounts.conserved:
        wrong = ", ".join(f"{f.site}/{f.feed}" for f in accounts.feeds if not f.conserved)
        parts.append(
            f"NOT CONSERVED: {wrong}. This is a defect in Biodam; nothing was lost: the accepted bytes are in {settings.lake_root / 'landing'}"
        )
    return "\n\n".join(parts)
