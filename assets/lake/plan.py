"""The plan of one dbt run, as the plugin reads it.

Belongs here: the shape of `control/plan.json` and its translation to SQL literals. Does not belong here: deciding what to
rebuild (`assets/planning`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any


class PlanError(ValueError):
    """The plan file does not hold; the message names the field."""


@dataclass(frozen=True)
class Plan:
    """What one dbt run rebuilds.

    Attributes:
        run_id: Names the build.
        batch: Grows with every build; the app transaction version of its commits. 0: no plan, commits are not deduplicated.
        as_of: Day on which consent and ages are judged.
        full: Rebuild every table whole.
        buckets: Person buckets to rebuild; None where full.
        source_buckets: Buckets to read in raw tables; contains `buckets`.
        raw_versions: Table key -> version to read; tables it does not name are read at their newest.
        model_versions: Table key -> newest version the ledger recorded; a model's table behind it is torn. None: the plan does not say.
        held: Ids of people who are left out, because a model fails on their records.
    """

    run_id: str
    batch: int
    as_of: date
    full: bool
    buckets: tuple[int, ...] | None
    source_buckets: tuple[int, ...] | None
    raw_versions: Mapping[str, int] = field(default_factory=dict)
    model_versions: Mapping[str, int] | None = None
    held: tuple[int, ...] = ()


def load_plan(path: Path) -> Plan:
    """Read a plan.

    Args:
        path: `control/plan.json`. Where it is absent (a developer runs dbt by hand) everything is rebuilt as of today.

    Raises:
        PlanError: Not JSON, or a field is missing or of the wrong kind.
    """
    if not path.exists():
        return Plan("by-hand", 0, datetime.now(UTC).date(), True, None, None)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        full = bool(raw["full"]) or raw["buckets"] is None
        buckets = None if full else _sorted(raw["buckets"])
        return Plan(
            run_id=str(raw["run_id"]),
            batch=int(raw.get("batch", 0)),
            as_of=date.fromisoformat(raw["as_of"]),
            full=full,
            buckets=buckets,
            source_buckets=None if buckets is None else _sorted([*buckets, *(raw.get("source_buckets") or ())]),
            raw_versions=_versions(raw.get("raw_versions")),
            model_versions=_versions(raw["model_versions"]) if "model_versions" in raw else None,
            held=_sorted(raw.get("held") or ()),
        )
    except KeyError as error:
        raise PlanError(f"{path.name}: {error.args[0]} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise PlanError(f"{path.name}: not a plan ({error})") from error


def bucket_predicate(buckets: Iterable[int] | None) -> str | None:
    """Predicate on the column `#`, None where every bucket is meant.

    Written with bounds because only comparisons reach Delta's file pruning: a scattered `in` alone opens every file
    (measured, delta extension 1.5.5), though it reads only the row groups it needs.
    """
    if buckets is None:
        return None
    wanted = sorted(set(buckets))
    if not wanted:
        return "false"
    low, high = wanted[0], wanted[-1]
    bounds = f"# between {low} and {high}"
    if high - low + 1 == len(wanted):
        return bounds
    return f"{bounds} and # in ({', '.join(map(str, wanted))})"


def _sorted(buckets: Iterable[Any]) -> tuple[int, ...]:
    return tuple(sorted({int(b) for b in buckets}))


def _versions(raw: Mapping[str, Any] | None) -> dict[str, int]:
    return {str(key): int(version) for key, version in (raw or {}).items()}
