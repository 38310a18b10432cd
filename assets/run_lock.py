"""One run a lake: the lock that every writer holds.

Belongs here: taking the lock, saying who holds it. Does not belong here: what is done under it. No Dagster, no database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout


class LakeBusy(RuntimeError):
    """Another run holds the lake; the message names its process and start."""


@contextmanager
def hold_lake(root: Path, *, purpose: str, wait_s: float = 0) -> Iterator[None]:
    """Hold `control/run.lock`. Within one process it may be held several times over.

    The operating system frees the lock when its holder dies, so a kill leaves nothing to clean up.

    Args:
        root: Lake root.
        purpose: What the holder does, shown to those who wait.
        wait_s: Seconds to wait for another holder.

    Raises:
        LakeBusy: Another process still holds it after that time.
    """
    path = root / "control" / "run.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(path), thread_local=False, is_singleton=True)
    first = not lock.is_locked
    try:
        lock.acquire(timeout=wait_s, poll_interval=0.2)
    except Timeout as error:
        raise LakeBusy(f"another run is working on this lake ({_holder(root)}). Remedy: wait until it ends") from error
    try:
        if first:
            if _note(root).exists():  # its holder was killed: what it was writing lies about
                _unclean(root).touch()
            note = {"pid": os.getpid(), "purpose": purpose, "started_at": datetime.now().astimezone().isoformat(timespec="seconds")}
            _note(root).write_text(json.dumps(note), encoding="utf-8")
        yield
    except BaseException:
        with suppress(OSError):  # the disk may be full or read-only, which is what the caller has to hear
            _unclean(root).touch()
        raise
    finally:
        with suppress(OSError):
            if first:
                _note(root).unlink(missing_ok=True)
        lock.release()


def ended_badly(root: Path) -> bool:
    """True where a holder was killed or failed since `forget_bad_end`: files that no commit names may lie in the tables."""
    return _unclean(root).exists()


def forget_bad_end(root: Path) -> None:
    """What a killed holder left was taken away."""
    _unclean(root).unlink(missing_ok=True)


def holder(root: Path) -> str | None:
    """Who holds the lake now, or None where nobody does."""
    path = root / "control" / "run.lock"
    if not path.exists():
        return None
    lock = FileLock(str(path), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _holder(root)
    lock.release()
    return None


def _note(root: Path) -> Path:
    return root / "control" / "run.lock.holder"


def _unclean(root: Path) -> Path:
    return root / "control" / "ended_badly"


def _holder(root: Path) -> str:
    try:
        note = json.loads(_note(root).read_text(encoding="utf-8"))
        return f"process {note['pid']}, {note['purpose']}, since {note['started_at']}"
    except (OSError, ValueError, KeyError):
        return "its holder left no note"
