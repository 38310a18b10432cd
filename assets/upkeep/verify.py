"""`biodam verify`: is the lake what the ledger says it is?

Belongs here: which tables and stores are looked at, in which order. Does not belong here: how one table is compared (`scrub`), repairing.
It changes nothing and takes no lock: run it beside nothing that writes, or a commit just being made is named as unrecorded.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.lake.extensions import open_duckdb
from assets.landing.door import sha256_of, stored_folder
from assets.landing.manifest import MANIFEST, ManifestError, read_manifest
from assets.landing.workspace import Workspace
from assets.ledger.schema import DeliveryState
from assets.upkeep.rows import expected_rows, held_rows
from assets.upkeep.scrub import Finding, Kind, Progress, TableReport, scrub_table

Say = Callable[[str], object]


@dataclass
class Verification:
    """What was looked at and what differs."""

    tables: int = 0
    files: int = 0
    bytes: int = 0
    deep: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Nothing differs."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        found = [f.as_json() for f in self.findings]
        return {"whole": self.whole, "deep": self.deep, "tables": self.tables, "files": self.files, "bytes": self.bytes, "findings": found}


def tables_of(workspace: Workspace) -> tuple[str, ...]:
    """Every table that is on disk or in the ledger."""
    return tuple(sorted({*workspace.upkeep.table_keys(), *workspace.lake.table_keys()}))


def verify(
    workspace: Workspace, *, deep: bool = False, only: Iterable[str] | None = None, progress: Progress = lambda _: None, say: Say = lambda _: None
) -> Verification:  # fmt: skip
    """Compare the lake with its ledger.

    Args:
        workspace: The lake.
        deep: Also the landing store, the rows each delivery left in each raw table, and the databases.
        only: These tables; default: all.
        progress: Told of bytes read.
        say: Told of each part.
    """
    result = Verification(deep=deep)
    for table in tables_of(workspace) if only is None else sorted(only):
        report = verify_table(workspace, table, progress)
        result.tables += 1
        result.files += report.files
        result.bytes += report.bytes
        result.findings += report.findings
    if deep:
        say("landing store")
        result.findings += _landing_store(workspace, progress)
        say("rows of each delivery")
        result.findings += _rows(workspace, {f.table for f in result.findings})
        say("databases")
        result.findings += _databases(workspace)
    return result


def verify_table(workspace: Workspace, table: str, progress: Progress = lambda _: None) -> TableReport:
    """Compare one table."""
    books = workspace.upkeep
    _, stamps = books.stamps(table)
    checkpoints = {name: text.rpartition(" ")[2] for name, text in stamps.items() if " " in text}
    return scrub_table(
        workspace.lake, table, books.commits(table), removed=books.removed(table), checkpoints=checkpoints, progress=progress
    )  # fmt: skip


def bytes_to_read(workspace: Workspace, *, deep: bool = False) -> int:
    """How many bytes `verify` will read, for a progress bar."""
    roots = [workspace.lake.tables, *([workspace.lake.landing] if deep else [])]
    return sum((Path(place) / name).lstat().st_size for root in roots for place, _, names in os.walk(root) for name in names)


def _landing_store(workspace: Workspace, progress: Progress) -> Iterator[Finding]:
    """Accepted bytes are what tables are restored from, so they are compared with the hashes the door checked."""
    for key in workspace.deliveries.in_state(DeliveryState.ACCEPTED, DeliveryState.LANDED):
        row = workspace.deliveries.get(key) or {}
        folder = stored_folder(workspace, key)
        try:
            manifest, digest = read_manifest(folder)
        except (OSError, ManifestError):
            yield Finding("landing", None, f"{key}/{MANIFEST}", Kind.MISSING, "the manifest of an accepted delivery cannot be read")
            continue
        if digest != row["manifest_sha256"]:
            yield Finding("landing", None, f"{key}/{MANIFEST}", Kind.DAMAGED, "is not the manifest that was accepted (SHA-256 differs)")
        erased = workspace.erasures.stored(key)
        for number, file in enumerate(manifest.files, 1):
            sha256 = erased.get(file.sha256.lower(), file.sha256.lower())
            if sha256 is not None:
                yield from _stored_file(folder / file.path, f"{key}, file {number} of its manifest", file.bytes, sha256, progress)


def _stored_file(path: Path, name: str, size: int, sha256: str, progress: Progress) -> Iterator[Finding]:
    try:
        digest = sha256_of(path)
    except OSError:
        yield Finding("landing", None, name, Kind.MISSING, "the delivered file is not there or cannot be read")
        return
    progress(size)
    if digest != sha256:
        yield Finding("landing", None, name, Kind.DAMAGED, "is not what was delivered (SHA-256 differs)")


def _rows(workspace: Workspace, damaged: set[str]) -> Iterator[Finding]:
    """Rows each landed delivery left in each raw table, counted in the table, against the ledger's count."""
    versions = workspace.commits.latest_versions()
    expected = expected_rows(workspace)
    closing_soon = {(k.site, k.delivery_id) for k in workspace.deliveries.in_state(DeliveryState.ACCEPTED)}
    raw = {k for k in versions if k.startswith("raw/") and not k.startswith("raw/people/")}
    with open_duckdb() as connection:
        for table in sorted({*expected, *raw} - damaged):
            if table not in versions:
                yield Finding(table, None, "_delta_log", Kind.MISSING, "deliveries landed rows in this table, and it is not there")
                continue
            held, wanted = held_rows(connection, workspace.lake, table, versions[table]), expected.get(table, Counter())
            for key in sorted({*held, *wanted} - closing_soon):
                if held[key] != wanted[key]:
                    detail = f"delivery {'/'.join(key)} has {held[key]} rows here, the ledger counts {wanted[key]}"
                    yield Finding(table, versions[table], "rows", Kind.DAMAGED, detail)


def _databases(workspace: Workspace) -> Iterator[Finding]:
    for name, path, url in (
        ("control", workspace.lake.control_database, workspace.ledger_url),
        ("vault", workspace.lake.vault_database, workspace.vault_url),
    ):
        if url is not None or not path.exists():
            continue
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                said = connection.execute("pragma integrity_check").fetchone()[0]
        except sqlite3.Error as error:
            said = type(error).__name__
        if said != "ok":
            yield Finding(name, None, path.name, Kind.DAMAGED, "the database is not whole. Restore it from a backup")


__all__ = ["Verification", "bytes_to_read", "tables_of", "verify", "verify_table"]
