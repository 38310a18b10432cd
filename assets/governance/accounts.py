"""What became of every record: accounts by site and feed.

Belongs here: adding up the ledger. Does not belong here: Dagster (`deliveries`), printing (the CLI).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from assets.landing.door import closed_folders
from assets.landing.folders import told_names
from assets.landing.workspace import Workspace
from assets.ledger.headers import HeaderChange
from assets.ledger.schema import DeliveryState
from assets.ledger.set_aside import Held

_OPEN = (DeliveryState.WAITING, DeliveryState.ACCEPTED)
_SEOUL = ZoneInfo("Asia/Seoul")


@dataclass
class FeedAccount:
    """Accounts of one site and feed. Counts are records but for `deliveries` and `waiting`.

    Attributes:
        waiting: Closed deliveries not landed yet, in the inbox or accepted.
        conserved: delivered = landed + quarantined + duplicate for each delivery, and the quarantine lists as many as were counted.
        last_delivery: Instant the newest delivery was taken in, UTC, or None.
        late: Days since then exceed what the site file expects.
        is_known: The site file names the feed.
    """

    site: str
    feed: str
    deliveries: int = 0
    delivered: int = 0
    landed: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    duplicate: int = 0
    conserved: bool = True
    waiting: int = 0
    last_delivery: str | None = None
    late: bool = False
    is_known: bool = True

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class RefusedDelivery:
    """A delivery refused whole."""

    site: str
    feed: str
    delivery_id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Accounts:
    """Accounts of the whole lake.

    Attributes:
        drift: Deliveries that came with other columns than the one before.
        set_aside: People whom builds leave out, because a model fails on their records.
        withheld: Values that did not pass because they look like a person's identifier, by delivery and column.
    """

    feeds: list[FeedAccount]
    refused: list[RefusedDelivery]
    drift: list[HeaderChange] = field(default_factory=list)
    set_aside: list[Held] = field(default_factory=list)
    withheld: list[dict[str, Any]] = field(default_factory=list)

    @property
    def conserved(self) -> bool:
        """No record of any feed is unaccounted for."""
        return all(f.conserved for f in self.feeds)


def add_up(workspace: Workspace, *, day: date, site: str | None = None) -> Accounts:
    """Accounts of every feed that a site file names or that ever delivered.

    Args:
        workspace: The lake.
        day: Lateness is judged on this day.
        site: Only this site.
    """
    accounts: dict[tuple[str, str], FeedAccount] = {}
    for known in workspace.sites.values():
        accounts |= {(known.site, feed): FeedAccount(known.site, feed) for feed in known.feeds}
    refused: list[RefusedDelivery] = []
    listed: Counter[tuple[str, str]] = Counter()
    claimed: Counter[tuple[str, str]] = Counter()
    for row in workspace.deliveries.all_rows(site):
        key = (row["site"], row["feed"])
        account = accounts.setdefault(key, FeedAccount(*key, is_known=False))
        _count(account, row)
        claimed[key] += row["quarantined"]
        if row["state"] == DeliveryState.REFUSED:
            refused.append(RefusedDelivery(*key, row["delivery_id"], row["reason"] or "", row["detail"] or ""))
    for total in workspace.deliveries.quarantine_totals():
        key = (total["site"], total["feed"])
        if key in accounts:
            accounts[key].quarantined[total["reason"]] = int(total["records"])
            listed[key] += int(total["records"])
    for folder in closed_folders(workspace.lake.inbox, site=site):
        key = told_names(folder)[:2]
        accounts.setdefault(key, FeedAccount(*key, is_known=False)).waiting += 1
    for key, account in accounts.items():
        account.conserved = account.conserved and listed[key] == claimed[key]
        account.late = _is_late(account, _expected_days(workspace.sites, account.site), day)
    chosen = [a for k, a in sorted(accounts.items()) if site is None or k[0] == site]
    return Accounts(chosen, refused, workspace.headers.changes(site=site), workspace.set_aside.all(), workspace.withheld(site))


def _count(account: FeedAccount, row: Mapping[str, Any]) -> None:
    account.deliveries += 1
    account.last_delivery = max(filter(None, (account.last_delivery, row["received_at"])))
    account.waiting += row["state"] in _OPEN
    for name in ("delivered", "landed", "duplicate"):
        setattr(account, name, getattr(account, name) + row[name])
    if row["delivered"] != row["landed"] + row["quarantined"] + row["duplicate"]:
        account.conserved = False


def _expected_days(sites: Mapping[str, Any], site: str) -> int | None:
    return sites[site].expected_every_days if site in sites else None


def _is_late(account: FeedAccount, expected_days: int | None, day: date) -> bool:
    if account.last_delivery is None or expected_days is None:
        return False
    last = datetime.fromisoformat(account.last_delivery).astimezone(_SEOUL).date()
    return (day - last).days > expected_days
