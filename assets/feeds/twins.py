"""Deliveries that repeat the last landed one byte for byte, recorded without opening anything heavy.

Belongs here: the same outcome as `assets/landing/door.admit` for this one case, with the standard library. Does not belong here: any other
case; a folder that is not plainly a twin is left for the door.

Senders repeat deliveries often. SQLAlchemy and Arrow cost 1 CPU s to import, more than a repeated delivery may cost in all.
`tests/integration/test_cli_run.py` compares the rows written here with those of the door.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from assets.landing.manifest import MANIFEST, Manifest, ManifestError, read_manifest

_LAST_LANDED = """
    select delivery_id, sequence, content_digest, delivered from delivery
    where site = ? and feed = ? and state = 'landed' order by sequence desc limit 1
"""
_INSERT = """
    insert into delivery (
        site, feed, delivery_id, sequence, period, manifest_sha256, content_digest, state, reason, detail, received_at, closed_at, bytes,
        delivered, landed, quarantined, duplicate
    ) values (?, ?, ?, ?, ?, ?, ?, 'duplicate', 'identical_delivery', ?, ?, ?, ?, ?, 0, 0, ?)
"""


@dataclass(frozen=True)
class Twin:
    """One delivery that repeats another. `records` is what the other delivered."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    of: str
    records: int


def record_twins(root: Path, inbox: Path) -> list[Twin]:
    """Record every waiting delivery as a duplicate, if all of them are twins of the last landed one of their feed.

    Call it holding the lake, only where the site files did not change since the last run and the ledger is the lake's own SQLite file.

    Returns:
        The twins; empty where there is anything else in the inbox, and then nothing was written.
    """
    folders = [m.parent for m in sorted(inbox.glob(f"*/*/*/{MANIFEST}"))]
    database = root / "control" / "control.db"
    if not folders or not database.is_file() or any(f.is_symlink() for f in folders):
        return []
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("pragma synchronous=full")
        twins = [twin for folder in folders if (twin := _twin(connection, folder)) is not None]
        if len(twins) < len(folders):
            return []
        with connection:
            connection.execute("begin immediate")
            for twin in twins:
                _record(connection, twin)
    for twin in twins:
        shutil.rmtree(twin.folder)
    return twins


def _twin(connection: sqlite3.Connection, folder: Path) -> Twin | None:
    site, feed, name = folder.parts[-3:]
    try:
        manifest, digest = read_manifest(folder)
    except (ManifestError, OSError):
        return None
    if (manifest.site, manifest.feed, manifest.delivery_id) != (site, feed, name):
        return None
    if connection.execute("select 1 from delivery where site = ? and feed = ? and delivery_id = ?", (site, feed, name)).fetchone():
        return None
    last = connection.execute(_LAST_LANDED, (site, feed)).fetchone()
    if last is None or last[2] != manifest.content_digest or manifest.sequence < last[1]:
        return None
    return Twin(folder, manifest, digest, last[0], last[3])


def _record(connection: sqlite3.Connection, twin: Twin) -> None:
    manifest, now = twin.manifest, datetime.now(UTC).isoformat(timespec="seconds")
    values: Mapping[str, object] = {
        "site": manifest.site, "feed": manifest.feed, "delivery_id": manifest.delivery_id, "sequence": manifest.sequence, "period": manifest.told_period,
        "manifest_sha256": twin.manifest_sha256, "content_digest": manifest.content_digest, "detail": f"same files as delivery {twin.of}",
        "received_at": now, "closed_at": now, "bytes": sum(f.bytes for f in manifest.files), "delivered": twin.records, "duplicate": twin.records,
    }  # fmt: skip
    connection.execute(_INSERT, tuple(values.values()))
