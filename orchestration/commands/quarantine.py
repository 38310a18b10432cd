"""`biodam quarantine`. Does not belong here: any value of a record; the bytes stay in the landing store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchestration.commands.show import table
from orchestration.errors import UserError, unknown_site
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.landing.again import Replayed
    from assets.landing.workspace import Workspace
    from assets.ledger.deliveries import DeliveryKey


def read_entries(
    settings: Settings, *, site: str | None, feed: str | None, reason: str | None, limit: int | None
) -> tuple[list[dict[str, Any]], int]:
    """Entries, oldest first, and how many records there are in all under these conditions.

    Raises:
        UserError: There is no such reason, feed or site.
    """
    from assets.formats.reasons import Reason
    from assets.sites.feed_kinds import FEED_KINDS

    codes = {str(r) for r in Reason}
    if reason is not None and reason not in codes:
        raise UserError(f"there is no reason {reason!r}. Known: {', '.join(sorted(codes))}")
    if feed is not None and feed not in FEED_KINDS:
        raise UserError(f"there is no feed {feed!r}. Known feeds: {', '.join(FEED_KINDS)}")
    workspace = settings.workspace()
    deliveries = workspace.deliveries
    if site is not None and site not in workspace.sites and not deliveries.all_rows(site=site):
        raise unknown_site(site, workspace.sites)
    entries = deliveries.quarantined(site=site, feed=feed, reason=reason, limit=limit)
    wanted = {"site": site, "feed": feed, "reason": reason}
    totals = [t for t in deliveries.quarantine_totals() if all(v is None or t[k] == v for k, v in wanted.items())]
    return entries, sum(int(t["records"]) for t in totals)


def list_text(entries: list[dict[str, Any]], total: int) -> str:
    """A table for people."""
    if not entries:
        return "Nothing in quarantine."
    header = ["id", "delivery", "file", "record", "records", "reason", "rule", "detail"]
    rows = [
        [
            str(e["id"]),
            f"{e['site']}/{e['feed']}/{e['delivery_id']}",
            e["ref"],
            e["row_number"],
            e["records"],
            e["reason"],
            e["rule"],
            e["detail"],
        ]
        for e in entries
    ]
    shown = sum(e["records"] for e in entries)
    rest = "" if shown >= total else f"\n{shown:,} of {total:,} records shown; --limit shows more"
    return f"{table(header, rows)}{rest}\n\n`biodam quarantine show ID` says what to do"


def show_text(settings: Settings, which: str) -> str:
    """One entry in sentences, or the entries of one delivery.

    Args:
        settings: Where things are.
        which: Id of an entry, or `site/feed/delivery`, or a delivery id.

    Raises:
        UserError: There is no such entry or delivery.
    """
    workspace = settings.workspace()
    if not which.isdigit():
        entries = [e for key in _deliveries(workspace, which) for e in workspace.deliveries.quarantine_history(key)]
        done = sum(e["records"] for e in entries if e["replay"] is not None)
        text = list_text([e for e in entries if e["replay"] is None], sum(e["records"] for e in entries if e["replay"] is None))
        return text + (f"\n{done:,} record(s) settled by a replay" if done else "")
    entry = workspace.deliveries.quarantine_entry(int(which))
    if entry is None:
        raise UserError(f"there is no quarantine entry {which}. Remedy: `biodam quarantine list` shows the ids")
    return _entry_text(workspace, entry)


def _entry_text(workspace: Workspace, entry: dict[str, Any]) -> str:
    from assets.formats.reasons import Reason

    known = {str(r): r for r in Reason}
    reason = known.get(entry["reason"])
    place = "the whole file" if entry["row_number"] is None else f"record {entry['row_number']}"
    offset = f", byte {entry['byte_offset']}" if entry["byte_offset"] is not None else ""
    folder = workspace.lake.landed_delivery(entry["site"], entry["feed"], entry["delivery_id"])
    lines = [
        ("delivery", f"{entry['site']}/{entry['feed']}/{entry['delivery_id']}"),
        ("where", f"{entry['ref']}, {place}{offset} ({entry['records']:,} record(s))"),
        ("reason", entry["reason"]),
        ("what is wrong", reason.sentence if reason is not None else ""),
        ("what to do", reason.remedy if reason is not None else ""),
        ("rule", entry["rule"] or ""),
        ("detail", entry["detail"] or ""),
        ("rules version", entry["rule_version"]),
        ("replayed", "" if entry["replay"] is None else f"at {entry['replayed_at']}, replay {entry['replay']} of the delivery"),
        ("bytes", f"{folder} (file {(entry['file_index'] or 0) + 1} of its manifest.json)"),
    ]
    return "\n".join(f"{name:<14} {value}" for name, value in lines if value)


def _deliveries(workspace: Workspace, which: str) -> list[DeliveryKey]:
    """Deliveries of that name: `site/feed/delivery`, or every delivery with that id."""
    from assets.ledger.deliveries import DeliveryKey

    rows = workspace.deliveries.all_rows()
    keys = [DeliveryKey(r["site"], r["feed"], r["delivery_id"]) for r in rows]
    found = [k for k in keys if which in (str(k), k.delivery_id)]
    if not found:
        raise UserError(f"there is no delivery {which}. Write site/feed/delivery, for example h01/fhir_r4/20260101-0001")
    return found


def replay(
    settings: Settings, which: str | None, *, site: str | None, feed: str | None, reason: str | None, say: Callable[[str], object]
) -> list[Replayed]:
    """Parse what the quarantine holds back by today's rules, one delivery after the other; one that fails does not stop the next.

    Raises:
        UserError: There is no such reason, feed, site, entry or delivery.
        LakeBusy: A run holds the lake.
    """
    from assets.alerts import safe_message
    from assets.landing.again import CannotReplay, Replayed
    from assets.landing.again import replay as work
    from assets.landing.land import ConservationError
    from assets.ledger.deliveries import DeliveryKey, IllegalTransition
    from assets.quiet import break_quiet
    from assets.run_lock import hold_lake

    entries, _ = read_entries(settings, site=site, feed=feed, reason=reason, limit=None)
    workspace = settings.workspace()
    if which is not None and which.isdigit():
        entries = [e for e in entries if e["id"] == int(which)]
    elif which is not None:
        wanted = set(_deliveries(workspace, which))
        entries = [e for e in entries if DeliveryKey(e["site"], e["feed"], e["delivery_id"]) in wanted]
    by_delivery: dict[DeliveryKey, set[int]] = {}
    for entry in entries:
        by_delivery.setdefault(DeliveryKey(entry["site"], entry["feed"], entry["delivery_id"]), set()).add(entry["id"])
    done = []
    with hold_lake(settings.lake_root, purpose="biodam quarantine replay"):
        for key, ids in by_delivery.items():
            say(f"replaying {key}")
            break_quiet(settings.lake_root)
            try:
                done.append(work(workspace, key, ids))
            except (CannotReplay, ConservationError, IllegalTransition) as error:
                done.append(Replayed(key, problem=str(error)))
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                done.append(Replayed(key, problem=safe_message(error)))
    return done


def replay_text(done: list[Replayed]) -> str:
    """A table for people."""
    if not done:
        return "Nothing in quarantine that fits."
    header = ["delivery", "asked for", "landed", "duplicate", "still refused", "why"]
    rows: list[list[object]] = [
        [str(r.key), r.asked, r.landed, r.duplicate, sum(r.still.values()), r.problem or ", ".join(sorted(r.still))] for r in done
    ]
    landed = sum(r.landed + r.duplicate for r in done)
    return f"{table(header, rows)}\n\n" + ("Next: biodam run" if landed else "Nothing new is accepted by today's rules")
