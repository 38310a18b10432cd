"""The page "Consents": who agrees to what, who withdrew, what nobody understands.

Belongs here: the page as Markdown, made of the governance models. Does not belong here: counting and withholding (dbt), drawing (`plots`),
Dagster (`consents`). Counts that could tell of a person are withheld before they come here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from assets.governance.consent_findings import FINDINGS
from assets.governance.data_use import withheld
from assets.governance.markdown import table
from assets.governance.plots import stacked_bars

MONTHS = 24
"""How far back the plot of events goes."""
WITHHELD = "<5"
_LEFT = ("withdraw", "expire")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ConsentCounts:
    """Rows of `gov_consent_status`, `gov_consent_events` and `gov_people_by_site`; of `undated`, None where consent names no first day."""

    status: Rows
    events: Rows
    people: Rows
    undated: Rows | None = None


def consents_page(counts: ConsentCounts, *, day: date, next_change: str | None = None) -> str:
    """The page as Markdown.

    Args:
        counts: What the models of governance hold.
        day: Consent was judged on this day.
        next_change: Day on which consent next begins or ends by itself, where the last build foresees one.
    """
    found = [r for r in counts.events if r["finding_code"] != "understood"]
    parts = [
        f"# Consents, {day.isoformat()}",
        f"`{WITHHELD}` stands for 1 to 4 people, `withheld` for several such counts; plots leave them out. Consent next begins or ends by itself: {next_change or 'no day is foreseen'}.",
        "## Who agrees to what",
        _bars("People by scope and arm", counts.status, "scope_code", "arm_code"),
        _cross(counts.status, "scope_code", "arm_code", "people_count", "scope"),
        "## For what use",
        _cross(counts.status, "scope_code", "permission_code", "people_count", "scope"),
        "## Who came and who left",
        _plot(counts.events, day),
        _plot_of_leaving(counts.events, day),
        "## People by site",
        _bars("People by site and arm", counts.people, "site", "arm_code"),
        _cross(counts.people, "site", "arm_code", "people_count", "site"),
        "## Events that are not understood",
        "They grant nothing; where their scope is known they end what was granted before. The sender has to say what was meant.",
        _findings([r for r in found if r["is_refused"]]),
        "## Events to look at",
        "They count as docs/CONSENT.md says. `biodam consent findings` names delivery, file and record of each.",
        _findings([r for r in found if not r["is_refused"]]),
        "## Records without a date",
        "They are left out of every table: their person's consent covers records from a first day on, and nobody can tell whether they are older.",
        _undated(counts.undated or ()),
    ]
    return "\n\n".join(parts)


def _bars(title: str, rows: Rows, down: str, across: str) -> str:
    """People as stacked bars; withheld counts are left out."""
    labels, names = sorted({r[down] for r in rows}), sorted({r[across] for r in rows})
    if not labels:
        return ""
    parts = {
        n: [float(sum(r["people_count"] or 0 for r in rows if r[down] == label and r[across] == n)) for label in labels] for n in names
    }
    return stacked_bars(title, labels, parts, unit="people")


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
    """The sum of counts; `+` where a withheld one is missing from it. Of several withheld counts nobody says that they are below 5 together."""
    if not rows:
        return "0"
    known, hidden = sum(r[number] or 0 for r in rows), any(r["has_small_cell"] for r in rows)
    if not known:
        return WITHHELD if len(rows) == 1 else "withheld"
    return f"{known:,}{'+' if hidden else ''}"


def _plot(events: Rows, day: date) -> str:
    parts = {"grants": _by_month([r for r in events if r["event_type"] not in _LEFT and not r["is_refused"]], day)}
    parts["withdrawals and expiries"] = _by_month([r for r in events if r["event_type"] in _LEFT and not r["is_refused"]], day)
    return stacked_bars(f"Consent events by month, last {MONTHS} months", _labels(day), parts, unit="events")


def _plot_of_leaving(events: Rows, day: date) -> str:
    left = [r for r in events if r["event_type"] == "withdraw" and not r["is_refused"]]
    parts = {scope: _by_month([r for r in left if r["scope_code"] == scope], day) for scope in sorted({r["scope_code"] for r in left})}
    shown = {scope: heights for scope, heights in parts.items() if any(heights)}
    if not shown:
        return f"No month of the last {MONTHS} saw 5 people or more withdraw from a scope."
    return stacked_bars(f"Withdrawals by month and scope, last {MONTHS} months", _labels(day), shown, unit="events")


def _by_month(rows: Rows, day: date) -> list[float]:
    place = {month: n for n, month in enumerate(_months(day))}
    heights = [0.0] * MONTHS
    for row in rows:
        if row["month_date"] in place:
            heights[place[row["month_date"]]] += row["event_count"] or 0
    return heights


def _labels(day: date) -> list[str]:
    return [f"{month:%Y-%m}" for month in _months(day)]


def _months(day: date) -> list[date]:
    last = day.year * 12 + day.month - 1
    return [date(n // 12, n % 12 + 1, 1) for n in range(last - MONTHS + 1, last + 1)]


def _undated(rows: Rows) -> str:
    if not rows:
        return "None."
    remedy = "send the records again with their day, or ask the person whether consent may cover all records"
    lines = [[r["site"], r["table_name"], withheld(r["record_count"]), remedy] for r in rows]
    return table(["site", "table", "records", "what to do"], lines)


def _findings(rows: Iterable[Mapping[str, Any]]) -> str:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["site"], row["finding_code"]), []).append(row)
    if not found:
        return "None."
    lines = [[site, code, _sum(same, "event_count"), FINDINGS[code].remedy] for (site, code), same in sorted(found.items())]
    return table(["site", "finding", "events", "what to do"], lines)
