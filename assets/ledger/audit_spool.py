"""Reads of people who may not write to `control`: left in a folder for which they need no more than leave to add to it.

Belongs here: leaving such a record, taking it into the audit. Does not belong here: making the folder. Whoever runs the lake does, or not:
`mkdir -m 1733 LAKE_ROOT/catalogue/reads` (add and remove one's own, never list).

Who read is the owner of the file, as the operating system knows them, not what the file says.
"""

from __future__ import annotations

import json
import os
import stat
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.ledger.audit import Audit, user_name

_MOST = 100_000
"""Bytes of one record; a longer one is none of ours."""


def leave(folder: Path, reading: Mapping[str, Any]) -> None:
    """Leave the record of one read, synced.

    Raises:
        OSError: There is no such folder, or nothing may be added to it.
    """
    target = folder / f"{uuid.uuid4().hex}.json"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(dict(reading), file)
        os.fchmod(file.fileno(), 0o644)  # the umask of the reader must not keep the lake's operator out
        file.flush()
        os.fsync(file.fileno())


def take_in(folder: Path, audit: Audit) -> int:
    """Append what was left to the audit, oldest first, and take it away. A kill in between may record one read twice, under one name.

    Returns:
        Records taken in.
    """
    found = sorted(folder.glob("*.json"), key=lambda p: (p.lstat().st_mtime_ns, p.name)) if folder.is_dir() else []
    for path in found:
        who, at, reading = _read(path)
        audit.append("read" if reading else "read.unreadable", who=who, at=at, left_as=path.stem[:40], **reading)
        path.unlink()
    return len(found)


def _read(path: Path) -> tuple[str, str, dict[str, Any]]:
    about = path.lstat()
    who, at = user_name(about.st_uid), datetime.fromtimestamp(about.st_mtime, UTC).isoformat(timespec="milliseconds")
    if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST:
        return who, at, {}
    try:
        said = json.loads(path.read_bytes())
        tables, digest, rows = [str(t) for t in said["tables"]], str(said["statement_sha256"]), int(said["rows"])
    except (OSError, ValueError, TypeError, KeyError):
        return who, at, {}
    return who, at, {"tables": tables, "statement_sha256": digest, "rows": rows}
