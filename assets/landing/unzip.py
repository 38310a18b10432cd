"""Members of a ZIP file.

Belongs here: its directory, names, flags. Does not belong here: what becomes of members (`unpack`).
Source: PKWARE APPNOTE 6.3.10, sections 4.3.14 to 4.3.16 (end of central directory), 4.4.4 (flags), appendix D (names).
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from assets.formats.reasons import FileRefused, Reason
from assets.formats.zip_guard import BROKEN, ENCRYPTED_FLAG, MOST_ENTRIES, is_of_disk
from assets.landing.files import SetAside
from assets.landing.unpack import Member, Store, judge_name

_UTF8_FLAG = 0x800
_END, _END64, _LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_LONGEST_DIRECTORY = 64 * 2**20
"""Bytes of a directory: Python holds about ten times as much of it in memory."""


def zip_members(archive: Path, store: Store, names: str) -> Iterator[Member]:
    """Members in the order of the directory, unpacked.

    Raises:
        FileRefused: `corrupt_archive` or `archive_bomb`: the archive is set aside whole.
    """
    _check_directory(archive)
    try:
        package = zipfile.ZipFile(archive)
    except BROKEN as error:
        raise FileRefused(Reason.CORRUPT_ARCHIVE, f"the directory of the archive cannot be read: {type(error).__name__}") from None
    with package:
        entries = package.infolist()
        if len(entries) > MOST_ENTRIES:
            raise FileRefused(Reason.ARCHIVE_BOMB, f"{len(entries)} members, limit {MOST_ENTRIES}")
        if sum(e.compress_size for e in entries) > archive.stat().st_size:
            raise FileRefused(Reason.ARCHIVE_BOMB, "members share the same bytes of the archive")
        for entry in entries:
            if not entry.orig_filename.endswith("/") or entry.file_size:
                yield _member(package, entry, store, names)


def _check_directory(archive: Path) -> None:
    """Look at the size of the directory before it is held in memory."""
    with archive.open("rb") as raw:
        size = raw.seek(0, 2)
        raw.seek(max(size - 65_557, 0))
        tail = raw.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < 22:
            raise FileRefused(Reason.CORRUPT_ARCHIVE, "no ZIP directory at its end: another format, or cut off")
        length = int.from_bytes(tail[at + 12 : at + 16], "little")
        if length == 0xFFFFFFFF and tail[max(at - 20, 0) :].startswith(_LOCATOR):
            raw.seek(min(int.from_bytes(tail[at - 12 : at - 4], "little"), size))
            record = raw.read(56)
            length = int.from_bytes(record[40:48], "little") if record.startswith(_END64) else length
    if length > _LONGEST_DIRECTORY:
        raise FileRefused(Reason.ARCHIVE_BOMB, f"a directory of {length} bytes, limit {_LONGEST_DIRECTORY}")


def _member(package: zipfile.ZipFile, entry: zipfile.ZipInfo, store: Store, names: str) -> Member:
    name = _name(entry, names)
    if name is None:
        return Member(
            entry.orig_filename, set_aside=SetAside("member_name", f"its name is not {names} text: declare archive_names", records=1)
        )
    if aside := _not_to_be_opened(entry, name):
        return Member(name, entry.file_size, set_aside=aside)
    most = store.most_of(entry.compress_size)
    if entry.file_size > most:
        return Member(name, set_aside=SetAside("archive_bomb", f"{entry.file_size} bytes unpacked, limit {most}", records=1))
    try:
        with package.open(entry) as stream:
            return store.keep(name, stream, most)
    except BROKEN as error:
        if is_of_disk(error):
            raise
        return Member(name, set_aside=SetAside("corrupt_archive", f"the member cannot be opened: {type(error).__name__}", records=1))


def _name(entry: zipfile.ZipInfo, names: str) -> str | None:
    """The name as text. Python reads one without the flag of UTF-8 as code page 437, which keeps its bytes."""
    if entry.flag_bits & _UTF8_FLAG:
        return entry.orig_filename
    try:
        return entry.orig_filename.encode("cp437").decode(names)
    except UnicodeError:
        return None


def _not_to_be_opened(entry: zipfile.ZipInfo, name: str) -> SetAside | None:
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return SetAside("unsafe_member", "a link or a device, no file", records=0)
    if entry.flag_bits & ENCRYPTED_FLAG:
        return SetAside("encrypted_member", "protected by a password", records=1)
    aside = judge_name(name)
    return aside if aside and aside.records is not None else None
