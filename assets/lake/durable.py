"""Bytes that survive a power cut, and their hashes.

delta-rs makes no fsync call and a torn newest log file is skipped without a word (DESIGN section 3), so durability is
ours. Belongs here: fsync, atomic replacement, SHA-256, stamps. Does not belong here: anything that knows Delta.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 20


def fsync_file(path: Path) -> None:
    """Wait until the file's bytes are on the device."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folders(paths: Iterable[Path], *, below: Path) -> None:
    """Wait until the folder entries of new files are on the device.

    Args:
        paths: New files.
        below: Topmost folder that may be new; its parent is synced too, as the name of a new folder lies there.
    """
    folders = {below.parent}
    for path in paths:
        folder = path.parent
        while folder != below.parent:
            folders.add(folder)
            folder = folder.parent
    for folder in sorted(folders, key=lambda f: -len(f.parts)):
        fsync_file(folder)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; memory flat in its size."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def stamp(path: Path) -> str:
    """What changes when anybody writes to a file: inode, size and both times. Device rot changes nothing of it."""
    found = path.stat()
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file so that a reader sees the old or the new one, never a part, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    fsync_file(path.parent)


def append_line(path: Path, line: str) -> None:
    """Append one line and wait until it is on the device."""
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(line.encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        fsync_file(path.parent)


class HashingFile:
    """A file for writing that knows the SHA-256 of what went through it, so that it need not be read again.

    Only sequential writing; `close` waits until the bytes are on the device.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, which must not exist: a data file is never written twice."""
        self._stream: BinaryIO = path.open("xb")
        self._digest = hashlib.sha256()
        self._abandoned = False
        self.bytes_written = 0

    def write(self, data: bytes) -> int:
        """Write and hash."""
        if self._abandoned:  # a Parquet writer still writes its footer when it is collected
            return len(data)
        self._digest.update(data)
        written = self._stream.write(data)
        self.bytes_written += written
        return written

    def flush(self) -> None:
        """Hand buffered bytes to the operating system."""
        self._stream.flush()

    def tell(self) -> int:
        """Position, which is the number of bytes written."""
        return self.bytes_written

    @property
    def closed(self) -> bool:
        """The file takes no more bytes."""
        return self._stream.closed

    def readable(self) -> bool:
        """Never: it is for writing."""
        return False

    def writable(self) -> bool:
        """Until closed."""
        return not self.closed

    def seekable(self) -> bool:
        """Never: the hash follows the order of writing."""
        return False

    def close(self) -> None:
        """Sync and close; calling it again does nothing."""
        if not self._stream.closed:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()

    def abandon(self) -> None:
        """Close without waiting for the device, drop what still comes: the file is about to be removed."""
        self._abandoned = True
        with contextlib.suppress(OSError):
            self._stream.close()

    @property
    def sha256(self) -> str:
        """Hash of all bytes written so far, hexadecimal."""
        return self._digest.hexdigest()
