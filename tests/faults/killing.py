"""Lands everything in a lake, and dies by SIGKILL in the step it is told to. Runs in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assets.lake import tables
from assets.landing import door
from assets.landing import land as landing
from assets.landing.workspace import Workspace
from assets.ledger import commits, deliveries, withdrawn
from assets.ledger.schema import DeliveryState
from assets.privacy import vault

OWNERS: dict[str, Any] = {
    "register": deliveries.Deliveries, "move": deliveries.Deliveries, "close_landed": deliveries.Deliveries, "record": commits.Commits,
    "note_change": commits.Commits, "resolve": vault.Vault, "append": tables, "run_child": landing, "rename": os,
    "begin_landing": withdrawn.Withdrawn,
}  # fmt: skip


def land_all(lake: Path, where: str) -> None:
    """Admit and land all deliveries; `where` is `<function>:<nth call>:before|after`, or `nowhere`."""
    if where != "nowhere":
        name, nth, moment = where.split(":")
        kill_in(OWNERS[name], name, int(nth), after=moment == "after")
    workspace = Workspace(lake)
    door.recover_stored(workspace)
    for folder in door.closed_folders(workspace.lake.inbox):
        door.admit(workspace, folder)
    for key in workspace.deliveries.in_state(DeliveryState.ACCEPTED):
        landing.land(workspace, key)


def kill_in(owner: Any, name: str, nth: int, *, after: bool) -> None:
    """Let the nth call of a function be the last thing that this process does."""
    real: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        now = calls == nth
        if now and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)
