"""What somebody has to look at: one JSON line each in `control/alerts.jsonl`.

Belongs here: writing and reading alerts, and texts of errors that are fit to be kept. Does not belong here: who is told
(`orchestration/alerts.py`).
"""

from __future__ import annotations

import errno
import json
import os
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent.name + "."
_REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        at: Instant, UTC.
        kind: delivery_failed, door_failed, build_failed, replay_failed, person_set_aside, clock_behind, run_failed or site_silent.
        subject: Delivery key, model or run.
        message: What happened and what to do; no value from any record.
        run_id: Dagster run, where there is one.
    """

    at: str
    kind: str
    subject: str
    message: str
    run_id: str | None = None


def raise_alert(root: Path, kind: str, subject: str, message: str, *, run_id: str | None = None) -> Alert:
    """Append an alert, synced to disk."""
    alert = Alert(datetime.now(UTC).isoformat(timespec="seconds"), kind, subject, message, run_id)
    path = root / "control" / "alerts.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(alert), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return alert


def read_alerts(root: Path, *, run_id: str | None = None) -> list[Alert]:
    """Alerts, oldest first; with `run_id`, those of one run. A line cut short by a kill is left out."""
    try:
        lines = (root / "control" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = [alert for line in lines if (alert := _parse(line)) is not None]
    return [a for a in found if run_id is None or a.run_id == run_id]


def safe_message(error: BaseException) -> str:
    """An error in words that hold no value of any record.

    Our own errors are written to be shown. An error of a library may quote the value it stumbled over or a delivered file's name, so only
    its kind and place are given.
    """
    if type(error).__module__.startswith(_PACKAGE):
        return str(error)
    if full := _disk_is_full(error):
        return f"{full} ({_place(error)}). Remedy: make room on the disk, then run again"
    if isinstance(error, OSError) and error.errno:
        return f"{os.strerror(error.errno)} ({_place(error)})."
    return f"unexpected {type(error).__name__} ({_place(error)}). BIODAM_DEBUG=1 shows more"


def _disk_is_full(error: BaseException) -> str | None:
    """What the system says with a number, and SQLite and delta-rs in words. On a full disk SQLite often says no more than I/O error."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    text = str(error)
    if "No space left on device" in text or "database or disk is full" in text:
        return "the disk is full"
    return "the disk is full or fails" if type(error).__name__ == "OperationalError" and "disk I/O error" in text else None


def _place(error: BaseException) -> str:
    ours = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(_REPOSITORY) and ".venv" not in f.filename
    ]
    if not ours:
        return "outside our code"
    return f"{Path(ours[-1].filename).relative_to(_REPOSITORY)}:{ours[-1].lineno}"


def _parse(line: str) -> Alert | None:
    try:
        raw: dict[str, Any] = json.loads(line)
        return Alert(**raw)
    except (ValueError, TypeError):
        return None
