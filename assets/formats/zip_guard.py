"""A ZIP container, looked at before anything opens what is in it.

Belongs here: names, sizes and flags of its directory; unpacking one entry within limits. Does not belong here: what the entries mean (`xlsx_guard`,
`assets/landing/unpack`).
Source: PKWARE APPNOTE 6.3.10, sections 4.3.12 (central directory), 4.4.4 (general purpose flags).
"""

from __future__ import annotations

import errno
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from assets.formats.job import Limits
from assets.formats.reasons import FileRefused, Reason

MOST_ENTRIES = 100_000
RATIO_FROM_BYTES = 16 * 2**20
"""A small file may well shrink 1000-fold; only growth beyond this is judged by ratio."""

ENCRYPTED_FLAG = 0x1
_CHUNK = 2**20
BROKEN = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError, zlib.error, zipfile.BadZipFile)
"""What Python's reader raises for damage."""


def is_of_disk(error: BaseException) -> bool:
    """Is it the disk that fails, and not the container? A place before the file's beginning is the container's fault."""
    return isinstance(error, OSError) and error.errno is not None and error.errno != errno.EINVAL


def total_size(entries: list[zipfile.ZipInfo], packed: int, limits: Limits) -> int:
    """Unpacked size of all entries, as their directory states it.

    Raises:
        FileRefused: `archive_bomb`: too many of them, or too large, or grown too much, or pieces of the file that are used twice.
    """
    if len(entries) > MOST_ENTRIES:
        raise FileRefused(Reason.ARCHIVE_BOMB, f"{len(entries)} entries, limit {MOST_ENTRIES}")
    size = sum(entry.file_size for entry in entries)
    most = most_bytes(packed, limits)
    if size > most:
        raise FileRefused(Reason.ARCHIVE_BOMB, f"{size} bytes unpacked, limit {most}")
    if sum(entry.compress_size for entry in entries) > packed:
        raise FileRefused(Reason.ARCHIVE_BOMB, "entries share the same bytes of the file")
    return size


def most_bytes(packed: int, limits: Limits) -> int:
    """To how many bytes a container of a size may grow."""
    return min(limits.file_bytes, max(packed * limits.ratio, RATIO_FROM_BYTES))


def read_entry(stream: IO[bytes], most: int) -> Iterator[bytes]:
    """Blocks of one entry, whatever size its directory states.

    Raises:
        FileRefused: `archive_bomb`: it holds more than `most` bytes.
    """
    size = 0
    while block := stream.read(_CHUNK):
        size += len(block)
        if size > most:
            raise FileRefused(Reason.ARCHIVE_BOMB, f"more than {most} bytes unpacked")
        yield block
