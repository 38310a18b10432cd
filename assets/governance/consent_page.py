"""The page "Consents": who agrees to what, who withdrew, what nobody understands.

Belongs here: the page as Markdown, made of the governance models. Does not belong here: counting and withholding (dbt), drawing (`plots`),
Dagster (`consents`). Counts that could tell of a person are withheld before they come here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from assets.governance.markdown import table
from assets.governance.plots import stacked_bars

MONTHS = 24
"""How far back the plot of events goes."""
WITHHELD = "<5"
_LEFT = ("withdraw", "expire")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ConsentCounts:
    """Rows of `gov_consent_status`, `gov_consent_events` and `gov_people_by_site`."""

    status: Rows
    events: Rows
    people: Rows


def consents_page(counts: ConsentCounts, *, day: date) -> str:
    """The page as Markdown.

    Args:
        counts: What the models of governance hold.
        day: Consent was judged on this day.
    """
    findings = [r for r in counts.events if r["finding_code"] != "understood"]
    parts = [
        f"# Consents, {day.isoformat()}",
        f"`{WITHHELD}` stands for 1 to 4 people.",
        "## Who agrees to what",
        _cross(counts.status, "scope_code", "arm_code", "people_count", "scope"),
        "## For what use",
        _cross(counts.status, "scope_code", "permission_code", "people_count", "scope"),
        "## Who came and who left",
        _plot(counts.events, day),
        "## People by site",
        _cross(counts.people, "site", "arm_code", "people_count", "site"),
        "## Events that nobody understands",
        "They grant nothing; where their scope is known they end what was granted before. The sender has to say what was meant.",
        _findings(findings),
    ]
    return "\n\n".join(parts)


def _cross(rows: Rows, down: str, across: str, number: str, title: str) -> str:
    """A table of sums; a cell with any withheld part says so."""
    if not rows:
        return "Nobody."
    columns = sorted({r[across] for r in rows})
    body = []
    for name in sorted({r[down] for r in rows}):
        cells = [[r for r in rows if r[down] == name and r[across] == column] for column in columns]
        body.append([name, *(_sum(cell, number) for cell in cells)])
    return table([title, *columns], body)


def _sum(rows: Rows, number: str) -> str:
    """The sum of counts; `+` where a withheld one is missing from it."""
    if not rows:
        return "0"
    known, hidden = sum(r[number] or 0 for r in rows), any(r["has_small_cell"] for r in rows)
    if not known:
        return WITHHELD
    return f"{known:,}{'+' if hidden else ''}"


def _plot(events: Rows, day: date) -> str:
    months = _months(day)
    place = {month: n for n, month in enumerate(months)}
    parts = {"grants": [0] * MONTHS, "withdrawals and expiries": [0] * MONTHS}
    for row in events:
        at = place.get(row["month_date"])
        if at is not None and not row["is_refused"]:
            parts["withdrawals and expiries" if row["event_type"] in _LEFT else "grants"][at] += row["event_count"] or 0
    return stacked_bars(f"Consent events by month, last {MONTHS} months", [f"{m:%Y-%m}" for m in months], parts, unit="events")


def _months(day: date) -> list[date]:
    last = day.year * 12 + day.month - 1
    return [date(n // 12, n % 12 + 1, 1) for n in range(last - MONTHS + 1, last + 1)]


def _findings(rows: Iterable[Mapping[str, Any]]) -> str:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["site"], row["finding_code"]), []).append(row)
    if not found:
        return "None."
    return table(
        ["site", "finding", "events"], [[site, finding, _sum(same, "event_count")] for (site, finding), same in sorted(found.items())]
    )
