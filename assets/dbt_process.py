"""dbt in a process of its own that does not outlive the run that started it: `python -m assets.dbt_process build ...`.

Belongs here: starting dbt's own command line. Does not belong here: what it is told (`assets/warehouse.py`).

A run that is killed lets go of the lake at once. A dbt that went on writing by an old plan beside the next run would leave old rows in
tables that the ledger believes to be new.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1  # prctl(2): send this signal to the process when its parent dies


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be asked for
        sys.exit(1)


def drop_unheard_events() -> None:
    """Let dbt make no message of a debug event that no log asks for.

    dbt 1.11 turns each of its 4,000 debug events of a build into two JSON lines and then drops them: a fifth of the CPU of a small build.
    """
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire = EventManager.fire_event
    unimportant = (EventLevel.DEBUG, EventLevel.TEST)

    def fire_if_heard(self: Any, e: Any, level: Any = None, *args: Any, **more: Any) -> None:
        heard = self.callbacks or not self.loggers or any(logger.level in unimportant for logger in self.loggers)
        if heard or (level or e.level_tag()) not in unimportant:
            fire(self, e, level, *args, **more)

    EventManager.fire_event = fire_if_heard  # type: ignore[method-assign]


def main() -> None:
    """Run dbt with the arguments of this process."""
    die_with_parent()
    from dbt.cli.main import cli

    drop_unheard_events()
    sys.argv[0] = "dbt"
    cli()


if __name__ == "__main__":
    main()
