"""The page "Deliveries": what came from whom, what is late, what was refused and why, and how that changes.

Belongs here: the page as Markdown, made of the accounts and the ledger. Does not belong here: adding up (`accounts`), drawing (`plots`),
Dagster (`deliveries`). The page names sites, feeds, deliveries and reasons; nothing on it is about a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from assets.formats.reasons import Reason
from assets.governance.accounts import Accounts, FeedAccount
from assets.governance.markdown import table
from assets.governance.plots import sparkline, stacked_bars

WEEKS = 12
"""How far back the trend goes."""

_SEOUL = ZoneInfo("Asia/Seoul")
_MOST_ROWS = 40
_OUTCOMES = ("landed", "quarantined", "duplicate")


@dataclass(frozen=True)
class Trend:
    """Records of each week, oldest week first, the week of the page last.

    Attributes:
        weeks: First day (Monday) of each week, Seoul.
        outcomes: landed, quarantined, duplicate -> records of each week.
        delivered: (site, feed) -> records of each week.
    """

    weeks: Sequence[date]
    outcomes: Mapping[str, Sequence[int]]
    delivered: Mapping[tuple[str, str], Sequence[int]]


def trend_of(rows: Iterable[Mapping[str, Any]], day: date) -> Trend:
    """Records by the week in which their delivery was taken in.

    Args:
        rows: Rows of the ledger's `delivery` table.
        day: The page is of this day.
    """
    monday = day - timedelta(days=day.weekday())
    weeks = [monday - timedelta(weeks=n) for n in range(WEEKS - 1, -1, -1)]
    position = {week: n for n, week in enumerate(weeks)}
    outcomes = {name: [0] * WEEKS for name in _OUTCOMES}
    delivered: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        received = datetime.fromisoformat(row["received_at"]).astimezone(_SEOUL).date()
        at = position.get(received - timedelta(days=received.weekday()))
        if at is None:
            continue
        delivered.setdefault((row["site"], row["feed"]), [0] * WEEKS)[at] += row["delivered"]
        for name in _OUTCOMES:
            outcomes[name][at] += row[name]
    return Trend(weeks, outcomes, delivered)


def deliveries_page(accounts: Accounts, trend: Trend, *, day: date, expected_days: Mapping[str, int]) -> str:
    """The page as Markdown.

    Args:
        accounts: Accounts of the lake.
        trend: Records by week.
        day: Lateness was judged on this day.
        expected_days: Site -> days between deliveries that its file expects.
    """
    came = [f for f in accounts.feeds if f.deliveries or f.waiting]
    parts = [
        f"# Deliveries, {day.isoformat()}",
        _summary(accounts),
        "## Late",
        _late(came, day, expected_days),
        "## What came",
        f"Last column: records of each of the last {WEEKS} weeks.",
        table(
            ["site", "feed", "last delivery", "delivered", "landed", "quarantined", "duplicate", "waiting", "conserved", "trend"],
            [_row(f, trend) for f in came],
        ),
        stacked_bars(
            f"Records by week of delivery, last {WEEKS} weeks", [f"{w:%m-%d}" for w in trend.weeks], trend.outcomes, unit="records"
        ),
        "## Kept out, and why",
        _reasons(came),
        "## Refused whole",
        _refused(accounts),
        "## Never delivered",
        ", ".join(f"{f.site}/{f.feed}" for f in accounts.feeds if not f.deliveries and not f.waiting) or "Every feed of every site file.",
    ]
    return "\n\n".join(parts)


def _summary(accounts: Accounts) -> str:
    sums = {name: sum(getattr(f, name) for f in accounts.feeds) for name in ("deliveries", "delivered", "landed", "duplicate")}
    quarantined = sum(sum(f.quarantined.values()) for f in accounts.feeds)
    verdict = "every record is accounted for" if accounts.conserved else "**RECORDS ARE UNACCOUNTED FOR: a defect in Biodam**"
    return (
        f"{sums['deliveries']:,} deliveries with {sums['delivered']:,} records: {sums['landed']:,} landed, {quarantined:,} in quarantine,"
        f" {sums['duplicate']:,} duplicate; {verdict}."
    )


def _late(feeds: Sequence[FeedAccount], day: date, expected_days: Mapping[str, int]) -> str:
    late = [f for f in feeds if f.late and f.last_delivery is not None]
    if not late:
        return "No site that has delivered before is late."
    rows = [[f.site, f.feed, _day(f).isoformat(), (day - _day(f)).days, expected_days.get(f.site, "")] for f in late]
    return table(["site", "feed", "last delivery", "days ago", "expected every, days"], rows)


def _row(feed: FeedAccount, trend: Trend) -> list[object]:
    last = _day(feed).isoformat() if feed.last_delivery else "never"
    weeks = sparkline(trend.delivered.get((feed.site, feed.feed), [0] * WEEKS))
    numbers = [feed.delivered, feed.landed, sum(feed.quarantined.values()), feed.duplicate, feed.waiting]
    return [feed.site, feed.feed, last, *(f"{n:,}" for n in numbers), "yes" if feed.conserved else "**NO**", weeks]


def _reasons(feeds: Sequence[FeedAccount]) -> str:
    found: Counter[tuple[str, str, str]] = Counter()
    for feed in feeds:
        found.update({(reason, feed.site, feed.feed): records for reason, records in feed.quarantined.items() if records})
    if not found:
        return "Nothing is in quarantine."
    known = {str(r): r for r in Reason}
    rows = [
        [f"{n:,}", reason, site, feed, known[reason].remedy if reason in known else ""]
        for (reason, site, feed), n in found.most_common(_MOST_ROWS)
    ]
    more = len(found) - len(rows)
    return table(["records", "reason", "site", "feed", "what to do"], rows) + (f"\n\nand {more} more: `biodam status`" if more > 0 else "")


def _refused(accounts: Accounts) -> str:
    if not accounts.refused:
        return "No delivery was refused."
    newest = accounts.refused[-_MOST_ROWS:]
    more = len(accounts.refused) - len(newest)
    listed = table(
        ["delivery", "reason", "what and what to do"], [[f"{r.site}/{r.feed}/{r.delivery_id}", r.reason, r.detail] for r in newest]
    )
    return listed + (f"\n\nand {more} more: `biodam status`" if more > 0 else "")


def _day(feed: FeedAccount) -> date:
    return datetime.fromisoformat(str(feed.last_delivery)).astimezone(_SEOUL).date()
