"""One file of a delivery on its way through landing.

Belongs here: what is known of a file before it is parsed. Does not belong here: finding it out (`job`, `sheets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SetAside:
    """Why a file is not parsed, as it is known before: a reason of the closed list. `records` where its records cannot be counted."""

    reason: str
    detail: str
    records: int | None = None


@dataclass(frozen=True)
class FileJob:
    """One file as the child and the ledger know it; a sheet of a workbook is one too.

    Attributes:
        index: Number in the delivery, from 0; the parts of a delivered file follow each other.
        path: Where its bytes are.
        ref: Neutral name.
        sha256, bytes: Of the delivered file.
        declared: Records the sender says the delivered file holds.
        entity: Table it holds; None where each record says so, or nothing does.
        format, compression: How it is written; None where nothing reads it.
        name: Delivered name, where `path` does not end in it. Never logged.
        sheet: Name of the sheet of a workbook. Never logged.
        delivered: Number of the delivered file in the manifest, from 0.
        set_aside: Why it is not parsed.
    """

    index: int
    path: Path
    ref: str
    sha256: str
    bytes: int
    declared: int | None
    entity: str | None
    format: str | None
    compression: str | None
    name: str = ""
    sheet: str | None = None
    delivered: int = 0
    set_aside: SetAside | None = None
