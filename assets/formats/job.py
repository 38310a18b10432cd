"""What the parent tells the parsing child, typed.

Belongs here: the shape of JOB.json. Does not belong here: making one (`assets/landing`), parsing bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.formats.reasons import FileRefused, Reason


@dataclass(frozen=True)
class SourceFile:
    """One delivered file.

    Attributes:
        index: Number of the file in the delivery; `_file` in the spool.
        path: Where its bytes are.
        ref: Neutral name for messages.
        entity: Table it holds; None where each record says what it is (FHIR).
        compression: `gzip` or None. Declared, never guessed.
        table: Name of the delivered table, for the verb `table`.
        sheet: Name of the sheet of a workbook.
    """

    index: int
    path: Path
    ref: str
    entity: str | None = None
    compression: str | None = None
    table: str | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class Column:
    """One column of the spool and where its value comes from (contract joined with allow-list)."""

    name: str
    type: str
    required: bool
    verb: str
    scope: str | None
    path: str


@dataclass(frozen=True)
class EntityPlan:
    """One table of the spool."""

    name: str
    columns: tuple[Column, ...]
    identity: Mapping[str, str]

    def column(self, name: str) -> Column | None:
        """A column by name, if the table has it."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True)
class Limits:
    """Caps of one child.

    Attributes:
        record_bytes: Longest record.
        depth: Deepest JSON nesting.
        file_bytes: Largest file, unpacked.
        memory_bytes: Anonymous memory of the child.
        ratio: Largest growth when unpacked; judged once a file has grown to 16 MiB.
        wall_seconds: Longest run of the child.
        stall_seconds: Longest time without progress, that is on one block of about 4 MiB.
    """

    record_bytes: int = 16 * 2**20
    depth: int = 64
    file_bytes: int = 64 * 2**30
    memory_bytes: int = 8 * 2**30
    ratio: int = 200
    wall_seconds: float = 6 * 3600.0
    stall_seconds: float = 120.0


@dataclass(frozen=True)
class Recovery:
    """What earlier runs of the child died of, so that the next one gets past it.

    Attributes:
        skip: Records not to be touched: (file, record) -> reason.
        lost: Files not to be touched: file -> reason.
        careful: Blocks to be read one record at a time, so that progress names the record: (file, first record of the block).
        exact: Files to be read without any fast path.
    """

    skip: Mapping[tuple[int, int], str] = field(default_factory=dict)
    lost: Mapping[int, str] = field(default_factory=dict)
    careful: frozenset[tuple[int, int]] = frozenset()
    exact: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Job:
    """One run of the child. Built from JSON by `load_job`."""

    format: str
    files: tuple[SourceFile, ...]
    spool: Path
    entities: Mapping[str, EntityPlan]
    options: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    recovery: Recovery = field(default_factory=Recovery)

    @property
    def time_zone(self) -> str:
        """IANA zone of times written without one."""
        return str(self.options.get("time_zone") or "UTC")

    def plan_of(self, file: SourceFile) -> EntityPlan:
        """The table that a file of rows holds.

        Raises:
            FileRefused: No table has its name.
        """
        plan = self.entities.get(file.entity or "")
        if plan is None:
            raise FileRefused(Reason.UNKNOWN_FILE, "no table has this name")
        return plan


def load_job(raw: Mapping[str, Any]) -> Job:
    """Read the decoded JOB.json.

    Raises:
        KeyError, TypeError: A field is missing or unknown; that is a defect of the parent, not of the data.
    """
    files = tuple(SourceFile(**{**f, "path": Path(f["path"])}) for f in raw["files"])
    entities = {name: _entity(name, body) for name, body in raw["entities"].items()}
    limits = Limits(**raw.get("limits", {}))
    recovery = _recovery(raw.get("recovery", {}))
    return Job(raw["format"], files, Path(raw["spool"]), entities, raw.get("options", {}), limits, recovery)


def _entity(name: str, body: Mapping[str, Any]) -> EntityPlan:
    return EntityPlan(name, tuple(Column(**c) for c in body["columns"]), dict(body.get("identity", {})))


def _recovery(raw: Mapping[str, Any]) -> Recovery:
    return Recovery(
        skip={(file, row): reason for file, row, reason in raw.get("skip", ())},
        lost=dict(raw.get("lost", ())),
        careful=frozenset((file, first) for file, first in raw.get("careful", ())),
        exact=frozenset(raw.get("exact", ())),
    )


def dump_recovery(recovery: Recovery) -> dict[str, Any]:
    """`recovery` as JSON holds it; the inverse of what `load_job` reads."""
    return {
        "skip": [[file, row, reason] for (file, row), reason in recovery.skip.items()],
        "lost": [[file, reason] for file, reason in recovery.lost.items()],
        "careful": sorted(recovery.careful),
        "exact": sorted(recovery.exact),
    }
