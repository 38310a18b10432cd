"""A damaged table back to its last good version.

Belongs here: taking log files, checkpoints and data files away. Does not belong here: choosing the version (`assets/upkeep/repair`), the
ledger. Every step may be repeated after a kill.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from deltalake import DeltaTable

from assets.lake.commits import log_folder
from assets.lake.durable import fsync_file
from assets.lake.log_state import CHECKPOINT_POINTER, checkpoint_version
from assets.lake.paths import Lake


def roll_back(lake: Lake, table_key: str, version: int, data_files: Iterable[str]) -> None:
    """Make a version the newest; -1: remove the table.

    Args:
        lake: The lake.
        table_key: Table key.
        version: The version to go back to; its log files must be whole.
        data_files: Files that only later versions wrote, relative to the table.
    """
    folder, log = lake.table(table_key), log_folder(lake, table_key)
    if version < 0:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(folder)
        return
    logs = [(int(p.name[:20]), p) for p in log.glob("[0-9]*.json") if p.name[:20].isdigit()]
    for number, path in sorted(logs, reverse=True):  # newest first: a kill leaves a log without a gap
        if number > version:
            path.unlink()
    drop_checkpoints(lake, table_key, newer_than=version)
    for name in data_files:
        (folder / name).unlink(missing_ok=True)
    fsync_file(log)


def drop_checkpoints(lake: Lake, table_key: str, *, newer_than: int = -1) -> None:
    """Take checkpoints away; the log files hold all they held."""
    log = log_folder(lake, table_key)
    (log / CHECKPOINT_POINTER).unlink(missing_ok=True)
    for path in list(log.iterdir()):
        number = checkpoint_version(path.name)
        if number is not None and number > newer_than:
            path.unlink()
    fsync_file(log)


def make_checkpoint(lake: Lake, table_key: str) -> None:
    """Write a checkpoint of the newest version, on the device when this returns."""
    DeltaTable(str(lake.table(table_key))).create_checkpoint()
    log = log_folder(lake, table_key)
    for path in (*log.glob("*.checkpoint*parquet"), log / CHECKPOINT_POINTER):
        fsync_file(path)
    fsync_file(log)
