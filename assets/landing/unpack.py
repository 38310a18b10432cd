"""A delivered archive taken apart: each member is a file of its own, with its own accounts.

Belongs here: which members are looked at and which are set aside, unpacking within limits. Does not belong here: the ways archives are written
(`unzip`, `untar`), what a member holds (`job`).

Nothing is ever written under a name of the archive: members become numbered files in a folder that is thrown away, so no name can lead
elsewhere. A member that is set aside costs only itself; an archive that is damaged, or grows beyond the limits, is set aside whole.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from assets.formats.job import Limits
from assets.formats.reasons import FileRefused, Reason
from assets.formats.zip_guard import BROKEN, is_of_disk, most_bytes, read_entry
from assets.landing.files import SetAside

ARCHIVES = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz"}
"""Ending -> how the archive is written."""

_NESTED = (*ARCHIVES, ".7z", ".rar", ".alz", ".egg", ".tar.bz2", ".tar.xz")
_JUNK_FOLDERS = frozenset({"__macosx", ".spotlight-v100", ".trashes", ".fseventsd", "$recycle.bin"})
_JUNK_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini", ".localized"})
_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True)
class Member:
    """One member of an archive.

    Attributes:
        name: Its name in the archive, as text; may be anything. Never logged.
        bytes, sha256: Of its content; 0 and '' where that was not unpacked.
        path: Where its content is.
        set_aside: Why it is not parsed.
    """

    name: str
    bytes: int = 0
    sha256: str = ""
    path: Path | None = None
    set_aside: SetAside | None = None


def archive_kind(name: str) -> str | None:
    """How an archive is written, by its ending, or None for what is no archive."""
    lower = name.lower()
    return next((kind for ending, kind in ARCHIVES.items() if lower.endswith(ending)), None)


def is_junk(name: str) -> bool:
    """Is it a file that an operating system adds, which nobody means to send?"""
    parts = [part.lower() for part in PurePosixPath(name).parts]
    return bool(parts) and (bool(_JUNK_FOLDERS & set(parts)) or parts[-1] in _JUNK_NAMES or parts[-1].startswith("._"))


def unpack(archive: Path, kind: str, target: Path, *, names: str, limits: Limits) -> list[Member] | SetAside:
    """Take an archive apart.

    Args:
        archive: The delivered file.
        kind: `zip`, `tar` or `tar.gz`.
        target: Folder for the content of members; made here.
        names: Encoding of names that do not say themselves that they are UTF-8.
        limits: `file_bytes` and `ratio` hold for each member and for the archive.

    Returns:
        Its members in order, folders left out, or why it is set aside whole.

    Raises:
        OSError: There is no room for the content.
    """
    target.mkdir(parents=True)
    size = archive.stat().st_size
    if size == 0:
        return SetAside("empty_file", "0 bytes")
    try:
        return _without_twins(_members(archive, kind, target, names, limits))
    except FileRefused as refused:
        return SetAside(str(refused.reason), refused.detail, records=1)


def _members(archive: Path, kind: str, target: Path, names: str, limits: Limits) -> list[Member]:
    if kind == "zip":
        from assets.landing.unzip import zip_members

        return list(zip_members(archive, Store(target, archive, limits), names))
    from assets.landing.untar import tar_members

    return list(tar_members(archive, Store(target, archive, limits), names, is_packed=kind == "tar.gz"))


class Store:
    """Where members go, and how much of them may."""

    def __init__(self, target: Path, archive: Path, limits: Limits) -> None:
        self._target, self._limits = target, limits
        self._left = most_bytes(archive.stat().st_size, limits)
        self._count = 0

    def most_of(self, packed: int) -> int:
        """To how many bytes a member of a packed size may grow."""
        return min(self._left, most_bytes(packed, self._limits))

    def keep(self, name: str, stream: IO[bytes], most: int) -> Member:
        """Write one member's content.

        Returns:
            The member; set aside where it is damaged or holds more than `most` bytes.

        Raises:
            FileRefused: With it the archive holds more than it may.
        """
        self._count += 1
        path = self._target / str(self._count)
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as out:
            blocks = self._blocks(stream, most)
            for block in blocks:
                if isinstance(block, SetAside):
                    out.truncate(0)
                    return Member(name, set_aside=block)
                out.write(block)
                digest.update(block)
                size += len(block)
        self._left -= size
        if self._left < 0:
            raise FileRefused(Reason.ARCHIVE_BOMB, "its members hold more bytes together than the limit")
        return Member(name, size, digest.hexdigest(), path, judge_name(name))

    def _blocks(self, stream: IO[bytes], most: int) -> Iterator[bytes | SetAside]:
        """Blocks of a member; last of all why it is set aside, if so."""
        try:
            yield from read_entry(stream, most)
        except FileRefused as refused:
            yield SetAside(str(refused.reason), refused.detail, records=1)
        except BROKEN as error:
            if is_of_disk(error):
                raise
            yield SetAside("corrupt_archive", f"the member is damaged: {type(error).__name__}", records=1)


def judge_name(name: str) -> SetAside | None:
    """Why a member of this name is set aside."""
    path = plain_path(name)
    if path.is_absolute() or ".." in path.parts or _DRIVE.match(name) or not path.parts:
        return SetAside("unsafe_member", "its name is absolute, or leads out of the archive")
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        return SetAside("unsafe_member", "its name holds a NUL or another control character")
    if is_junk(str(path)):
        return SetAside("junk_file", "added by an operating system", records=0)
    if name.lower().endswith(_NESTED):
        return SetAside("nested_archive", "an archive inside of an archive", records=1)
    return None


def _without_twins(members: list[Member]) -> list[Member]:
    """Set aside members that a file system, or a person, could take for each other."""
    seen = Counter(_as_seen(m.name) for m in members)
    twin = SetAside("ambiguous_member", "another member has the same name, or one that differs only in the case of letters")
    return [replace(m, set_aside=twin) if seen[_as_seen(m.name)] > 1 and m.set_aside is None else m for m in members]


def _as_seen(name: str) -> str:
    return unicodedata.normalize("NFC", str(plain_path(name)).casefold())


def plain_path(name: str) -> PurePosixPath:
    """The path a name means; archives packed in Windows may part folders by backslashes."""
    return PurePosixPath(name.replace("\\", "/"))
