"""Files of older table versions that hold a person, taken away whoever else keeps their version.

Where a table is partitioned by person bucket, every replaced file of the person's buckets goes: rows may be about the person without naming them.

Belongs here: which files those are. Does not belong here: the newest version (`assets/lake/cut`), files that hold nobody erased (`assets/upkeep/vacuum`).

Logs and checkpoints stay: they name files and count rows, and their statistics hold lineage only (`assets/lake/writer`). The byte scan reads them all.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from assets.lake.commits import log_file, newest_version
from assets.lake.cut import holds_person
from assets.lake.log_state import LogState
from assets.landing.workspace import Workspace
from assets.privacy.erased import Subject
from assets.upkeep.scrub import files_below
from assets.upkeep.verify import tables_of


def purge(workspace: Workspace, cause: str, subject: Subject) -> Counter[str]:
    """Take these files away; noted first, so that a kill in between is finished by calling it again.

    Returns:
        Files and bytes.
    """
    done: Counter[str] = Counter()
    buckets = {str(b) for b in subject.buckets}
    for table in tables_of(workspace):
        live = _live(workspace, table)
        folder = workspace.lake.table(table)
        names = [
            n for n in files_below(folder)
            if n.endswith(".parquet") and not n.startswith("_delta_log/") and n not in live and _holds(folder, n, buckets, subject)
        ]  # fmt: skip
        if names:
            workspace.upkeep.note_removed(table, names, cause=cause)
            done += Counter({"files": len(names), "bytes": sum((folder / n).stat().st_size for n in names)})
            for name in names:
                (folder / name).unlink(missing_ok=True)
    return done


def _live(workspace: Workspace, table: str) -> set[str]:
    state = LogState()
    newest = newest_version(workspace.lake, table)
    for version in range(0 if newest is None else newest + 1):
        state.take(version, log_file(workspace.lake, table, version).read_bytes())
    return set(state.live)


def _holds(folder: Path, name: str, buckets: set[str], subject: Subject) -> bool:
    bucket = next((part.removeprefix("person_bucket=") for part in name.split("/") if part.startswith("person_bucket=")), None)
    return holds_person(folder / name, subject.ids) if bucket is None else bucket in buckets
