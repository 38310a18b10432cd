"""Where the child is, written so that it survives the child.

Belongs here: the few bytes the parent reads after a crash, and what memory it held. Does not belong here: what to do about a crash (`sandbox`).
"""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

_RECORD = struct.Struct("<qqqq")
_NAME = "_progress"
_PEAK = "_peak"


class Doing(IntEnum):
    """What the child was at."""

    OPENING = 0
    BLOCK = 1
    RECORD = 2
    FLUSH = 3


@dataclass(frozen=True)
class Place:
    """The last place the child was known to be at.

    Attributes:
        file: Number of the file.
        doing: Opening the file, reading a block of records, one record by itself, or making columns of blocks read before.
        first: First record of what it was at; 0 while opening.
        since: First file of which rows were waiting to be made columns of; `file` unless it was at that.
    """

    file: int
    doing: Doing
    first: int
    since: int


class Progress:
    """Writes the place. One `pwrite` a block of about 1 MiB: some microseconds."""

    def __init__(self, spool: Path) -> None:
        """Start before the first file."""
        self._descriptor = os.open(spool / _NAME, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)

    def file(self, file: int) -> None:
        """Opening a file."""
        self._write(file, Doing.OPENING, 0)

    def block(self, file: int, first: int) -> None:
        """Reading a block of records."""
        self._write(file, Doing.BLOCK, first)

    def record(self, file: int, number: int) -> None:
        """Reading one record by itself."""
        self._write(file, Doing.RECORD, number)

    def flush(self, file: int, first: int, since: int) -> None:
        """Making columns of the blocks read since a record of this file, and of those of the files before it, from `since` on."""
        self._write(file, Doing.FLUSH, first, since)

    def _write(self, file: int, doing: Doing, first: int, since: int | None = None) -> None:
        os.pwrite(self._descriptor, _RECORD.pack(file, doing, first, file if since is None else since), 0)


def read_place(spool: Path) -> Place | None:
    """Where the child died, or None if before its first file."""
    data = read_mark(spool)
    if len(data) != _RECORD.size:
        return None
    file, doing, first, since = _RECORD.unpack(data)
    return Place(file, Doing(doing), first, since)


def read_mark(spool: Path) -> bytes:
    """The raw bytes: they change as long as the child makes progress."""
    try:
        return (spool / _NAME).read_bytes()
    except OSError:
        return b""


def write_peak(spool: Path) -> None:
    """Leave the most memory this process ever held. A measure only: where it cannot be written, how the child ended still stands."""
    with contextlib.suppress(OSError, MemoryError):
        (spool / _PEAK).write_text(str(peak_of(os.getpid())), encoding="ascii")


def read_peak(spool: Path) -> int:
    """Bytes the child left, or 0 if it died before."""
    try:
        return int((spool / _PEAK).read_bytes() or b"0")
    except OSError:
        return 0


def peak_of(process: int) -> int:
    """Largest resident memory of a running process in bytes, of its own program only (VmHWM, proc(5)); 0 where nothing tells."""
    try:
        lines = Path(f"/proc/{process}/status").read_bytes().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(b"VmHWM:")), 0)
