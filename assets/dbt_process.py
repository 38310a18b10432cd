"""dbt in a process of its own that does not outlive the run that started it: `python -m assets.dbt_process [--leave-out FILE] build ...`.

Belongs here: starting dbt on the project as it was parsed. Does not belong here: what it is told (`assets/warehouse.py`), parsing
(`assets/dbt_manifest.py`).

A run that is killed lets go of the lake at once. A dbt that went on writing by an old plan beside the next run would leave old rows in
tables that the ledger believes to be new.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.collector import collect_seldom
from assets.dbt_manifest import PARSED, PROJECT

LEAVE_OUT = "--leave-out"
"""Option: a JSON file of the nodes that dbt is to leave out, unique id -> name."""
_UNTOLD = frozenset({"LogStartLine", "Formatting"})
_LEFT_OUT = "left_out_of_this_build"
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
    That a node starts is told by its result too.
    """
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire = EventManager.fire_event
    unimportant = (EventLevel.DEBUG, EventLevel.TEST)

    def fire_if_heard(self: Any, e: Any, level: Any = None, *args: Any, **more: Any) -> None:
        heard = self.callbacks or not self.loggers or any(logger.level in unimportant for logger in self.loggers)
        if heard or ((level or e.level_tag()) not in unimportant and type(e).__name__ not in _UNTOLD):
            fire(self, e, level, *args, **more)

    EventManager.fire_event = fire_if_heard  # type: ignore[method-assign]


def parsed_project() -> Any:
    """Return the Manifest of dbt, as `parse_project` left it; None where there is none of this checkout and this dbt: then dbt parses.

    A lake's first build would otherwise parse everything (5 CPU s: dbt keeps a parse by lake, as the profile names the lake), and each
    later one would look for changed files.
    """
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder
    from dbt.version import __version__

    try:
        parsed: Any = Manifest.from_msgpack(PARSED.read_bytes(), decoder=extended_mashumuro_decoder)
    except Exception:  # absent, cut short, of another dbt: whatever is wrong with it, dbt can parse
        return None
    roots = {node.root_path for node in parsed.nodes.values() if node.resource_type == "seed"}
    if parsed.metadata.dbt_version != __version__ or roots - {str(PROJECT)}:
        return None
    parsed.build_flat_graph()
    return parsed


def without(names: Mapping[str, str], project: Any) -> list[str]:
    """Arguments by which dbt leaves nodes out, and these only: a test of one of them is run unless it is named itself.

    Args:
        names: Unique id -> name of each node to leave out.
        project: The parsed project; None: dbt has to look each name up, which costs 4 CPU ms a name.
    """
    if project is None:
        return ["--indirect-selection", "empty", "--exclude", " ".join(sorted(names.values()))]
    for unique_id in names:
        project.nodes[unique_id].config.tags = [*project.nodes[unique_id].config.tags, _LEFT_OUT]
        project.nodes[unique_id].tags = [*project.nodes[unique_id].tags, _LEFT_OUT]
    return ["--indirect-selection", "empty", "--exclude", f"tag:{_LEFT_OUT}"]


def main() -> int:
    """Run dbt with the arguments of this process; returns dbt's exit code."""
    die_with_parent()
    collect_seldom()
    from dbt.cli.main import dbtRunner

    drop_unheard_events()
    arguments, project = sys.argv[1:], parsed_project()
    if LEAVE_OUT in arguments:
        at = arguments.index(LEAVE_OUT)
        left = json.loads(Path(arguments.pop(at + 1)).read_text(encoding="utf-8"))
        arguments[at : at + 1] = []
        arguments += without(left, project)
    done = dbtRunner(manifest=project).invoke(arguments)
    return 0 if done.success else 2 if done.exception is not None else 1


if __name__ == "__main__":
    sys.exit(main())
