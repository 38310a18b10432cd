"""The summary of a run, for people and for programs. Does not belong here: how it was found (`run`)."""

from __future__ import annotations

from typing import Any

from orchestration.commands.run import Summary


def as_dict(summary: Summary) -> dict[str, Any]:
    """Plain values."""
    return {
        "nothing_to_do": summary.nothing,
        "deliveries": dict(summary.deliveries),
        "delivered": summary.delivered,
        "landed": summary.landed,
        "quarantined": dict(sorted(summary.quarantined.items())),
        "duplicate": summary.duplicate,
        "refused": [{"delivery": d, "reason": r, "detail": t} for d, r, t in summary.refused],
        "built": summary.built,
        "full": summary.full,
        "models": summary.models,
        "buckets": summary.buckets,
        "catalogue": summary.catalogue,
        "dagster_run": summary.run_id,
        "seconds": round(summary.seconds, 2),
        "problems": summary.problems,
        "set_aside": summary.set_aside,
    }


def as_text(summary: Summary) -> str:
    """A short table."""
    if summary.nothing:
        return "Nothing to do: no new delivery, no open change."
    states = ", ".join(f"{n:,} {state}" for state, n in sorted(summary.deliveries.items())) or "none"
    lines = [("deliveries", states)]
    if summary.delivered:
        lines.append(("records delivered", f"{summary.delivered:,}"))
        lines.append(("landed", f"{summary.landed:,}"))
        lines.append(("duplicate", f"{summary.duplicate:,}"))
    lines += [(f"quarantined: {reason}", f"{n:,}") for reason, n in sorted(summary.quarantined.items())]
    lines += [(f"refused {delivery}", f"{reason}: {detail}") for delivery, reason, detail in summary.refused]
    lines.append(("models rebuilt", f"{summary.models} ({_extent(summary)})" if summary.built else "none: nothing changed"))
    if summary.set_aside:
        lines.append(("people set aside", f"{summary.set_aside}: a model fails on their records (`biodam status` says which)"))
    if summary.catalogue:
        lines.append(("catalogue", summary.catalogue))
    lines.append(("seconds", f"{summary.seconds:.1f}"))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _extent(summary: Summary) -> str:
    if summary.full or summary.buckets is None:
        return "every bucket of people"
    return f"{summary.buckets} bucket{'' if summary.buckets == 1 else 's'} of people"
