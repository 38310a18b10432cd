"""Members of a TAR file, plain or gzip.

Belongs here: walking its headers, and whether it ends where it should. Does not belong here: what becomes of members (`unpack`).

Python's reader takes a damaged or cut header for the end of the archive and says nothing, so the headers are walked here first, and what the two
find has to agree.
Source: POSIX.1-2017, pax, section "ustar Interchange Format"; GNU tar 1.35 manual, "Basic Tar Format".
"""

from __future__ import annotations

import gzip
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from assets.formats.reasons import FileRefused, Reason
from assets.formats.zip_guard import BROKEN, MOST_ENTRIES, is_of_disk
from assets.landing.files import SetAside
from assets.landing.unpack import Member, Store, judge_name

_BLOCK = 512
_STEP = 2**20
_LONGEST_NAME = 2**16
"""Bytes of an extended header: Python reads it whole."""
_EXTENDED = b"xgXLK"
_WITHOUT_CONTENT = b"123456"
_SIZE = re.compile(rb"(?:^|\n)\d+ size=(\d{1,18})\n")


def tar_members(archive: Path, store: Store, names: str, *, is_packed: bool) -> Iterator[Member]:
    """Members in order, unpacked.

    Raises:
        FileRefused: `corrupt_archive`, `truncated_gzip`, `corrupt_gzip` or `archive_bomb`: the archive is set aside whole.
    """
    with _opened(archive, store, is_packed=is_packed) as stream:
        expected = _walk(stream)
    found = 0
    with _opened(archive, store, is_packed=is_packed) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|", encoding=names, errors="surrogateescape") as tar:
                for entry in tar:
                    found += 1
                    if not entry.isdir():
                        yield _member(tar, entry, store, names)
        except tarfile.TarError as error:
            raise FileRefused(Reason.CORRUPT_ARCHIVE, f"a header cannot be read: {type(error).__name__}") from None
    if found != expected:
        raise FileRefused(Reason.CORRUPT_ARCHIVE, f"{expected} headers, of which {found} can be read")


@contextmanager
def _opened(archive: Path, store: Store, *, is_packed: bool) -> Iterator[IO[bytes]]:
    most = store.most_of(archive.stat().st_size) + _STEP  # headers and padding beside the content
    with archive.open("rb") as raw:
        stream: Any = gzip.GzipFile(fileobj=raw) if is_packed else raw
        yield _Limited(stream, most)  # type: ignore[misc]  # all that is asked of it is to read


class _Limited:
    """Reads a stream and stops when it grows out of its limit or breaks."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._left = stream, most

    def read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except EOFError:
            raise FileRefused(Reason.TRUNCATED_GZIP, "the compressed archive ends too early") from None
        except BROKEN as error:
            if is_of_disk(error):
                raise
            raise FileRefused(Reason.CORRUPT_GZIP, "the compressed archive is damaged") from None
        self._left -= len(data)
        if self._left < 0:
            raise FileRefused(Reason.ARCHIVE_BOMB, "the archive grows beyond the limit when unpacked")
        return data


@dataclass(frozen=True)
class _Header:
    kind: bytes
    size: int


def _walk(stream: IO[bytes]) -> int:
    """Count the headers of members.

    Raises:
        FileRefused: One is damaged, content is cut off, the archive has no end, or something follows it.
    """
    count, size_told = 0, None
    while (header := _header(stream)) is not None:
        size = header.size
        if header.kind in _EXTENDED:
            size_told = _extended(stream, size) or size_told
            continue
        if header.kind == b"S":
            raise FileRefused(Reason.CORRUPT_ARCHIVE, "a sparse file: pack it without --sparse")
        if header.kind not in _WITHOUT_CONTENT:
            _skip(stream, size if size_told is None else size_told)
        size_told = None
        count += 1
        if count > MOST_ENTRIES:
            raise FileRefused(Reason.ARCHIVE_BOMB, f"more than {MOST_ENTRIES} members")
    while block := stream.read(_STEP):
        if block.strip(b"\0"):
            raise FileRefused(Reason.CORRUPT_ARCHIVE, "bytes follow the end of the archive: was another one appended?")
    return count


def _header(stream: IO[bytes]) -> _Header | None:
    """The next header; None at the end mark."""
    block = _exactly(stream, _BLOCK)
    if not block.strip(b"\0"):
        return None
    try:
        told = int(block[148:156].strip(b"\0 ") or b"0", 8)
        size = int.from_bytes(block[125:136], "big") if block[124] & 0x80 else int(block[124:136].strip(b"\0 ") or b"0", 8)
    except ValueError:
        told, size = -1, 0
    if told != sum(block) - sum(block[148:156]) + 8 * 32:
        raise FileRefused(Reason.CORRUPT_ARCHIVE, "a header is damaged")
    return _Header(block[156:157], size)


def _extended(stream: IO[bytes], size: int) -> int | None:
    """Step over a header that tells more of the next one; the size of its content, if that is told."""
    if size > _LONGEST_NAME:
        raise FileRefused(Reason.ARCHIVE_BOMB, f"a name of {size} bytes")
    found = _SIZE.search(_exactly(stream, -(-size // _BLOCK) * _BLOCK)[:size])
    return int(found[1]) if found else None


def _skip(stream: IO[bytes], size: int) -> None:
    left = -(-size // _BLOCK) * _BLOCK
    while left > 0:
        left -= len(_exactly(stream, min(left, _STEP)))


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = stream.read(size - len(data))
        if not piece:
            raise FileRefused(Reason.CORRUPT_ARCHIVE, "the archive ends too early")
        data += piece
    return data


def _member(tar: tarfile.TarFile, entry: tarfile.TarInfo, store: Store, names: str) -> Member:
    name = entry.name
    if not _is_text(name):
        return Member(name, set_aside=SetAside("member_name", f"its name is not {names} text: declare archive_names", records=1))
    if not entry.isreg():
        return Member(name, set_aside=SetAside("unsafe_member", "a link or a device, no file", records=0))
    aside = judge_name(name)
    if aside is not None and aside.records is not None:
        return Member(name, entry.size, set_aside=aside)
    content = tar.extractfile(entry)
    if content is None:
        raise FileRefused(Reason.CORRUPT_ARCHIVE, "a member has no content")
    return store.keep(name, content, store.most_of(entry.size))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
