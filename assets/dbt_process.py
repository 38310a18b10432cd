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

_PR_SET_PDEATHSIG = 1  # prctl(2): send this signal to the process when its parent dies


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be asked for
        sys.exit(1)


def main() -> None:
    """Run dbt with the arguments of this process."""
    die_with_parent()
    from dbt.cli.main import cli

    sys.argv[0] = "dbt"
    cli()


if __name__ == "__main__":
    main()
