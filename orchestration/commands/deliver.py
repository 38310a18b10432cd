"""Wrap loose files in a delivery, or hand on deliveries that are closed already.

Belongs here: copying, hashing, the manifest, the next sequence number. Does not belong here: judging the content (the door does).
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from assets.landing.door import closed_folders
from assets.landing.manifest import MANIFEST
from assets.landing.workspace import Workspace
from orchestration.errors import UserError, unknown_site

_PART = 4 * 2**20
_CLONE = 0x40049409  # FICLONE of linux/fs.h: share the blocks of a file where the file system can
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
Progress = Callable[[int], None]
"""Told of each portion of bytes taken in."""


@dataclass(frozen=True)
class Delivered:
    """One delivery now in the inbox."""

    site: str
    feed: str
    delivery_id: str
    sequence: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Wish:
    """What the user said about a delivery.

    Attributes:
        include: Shell patterns of relative paths; empty: every file.
        link: Hard-link instead of copying. Only for files that nobody changes any more.
    """

    site: str
    feed: str
    period: str | None = None
    delivery_id: str | None = None
    include: Sequence[str] = ()
    link: bool = False


def loose_files(path: Path, include: Sequence[str] = ()) -> list[tuple[Path, str]]:
    """(file, relative path) of everything that would be delivered, hidden files included.

    Raises:
        UserError: Nothing there, a delivery where loose files were meant, or a name that no manifest can hold.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder")
    if path.is_file():
        return [(path, path.name)]
    if (path / MANIFEST).exists():
        raise UserError(f"{path} is a delivery already ({MANIFEST} lies in it). Remedy: leave out --site and --feed to hand it on as it is")
    found = [(p, p.relative_to(path).as_posix()) for p in sorted(path.rglob("*")) if p.is_file()]
    chosen = [(p, name) for p, name in found if not include or any(fnmatch.fnmatch(name, pattern) for pattern in include)]
    if not chosen:
        raise UserError(f"{path}: no file {'matches --include' if found else 'in this folder'}")
    for number, (_, name) in enumerate(chosen, 1):
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{path}: the name of file {number} is not UTF-8. Remedy: rename it") from error
    return chosen


def deliver_files(
    workspace: Workspace, files: Sequence[tuple[Path, str]], wish: Wish, *, day: str, progress: Progress | None = None
) -> Delivered:
    """Put loose files into the inbox as one closed delivery.

    The folder is built beside the inbox and moved in whole; `manifest.json` is written last. Files stand in the manifest in the order
    of their hashes, so a position says nothing about a name.

    Raises:
        UserError: Unknown site or feed, a delivery id that is taken or cannot be one.
    """
    _check_feed(workspace, wish.site, wish.feed)
    if wish.delivery_id is not None and not _ID.fullmatch(wish.delivery_id):
        raise UserError(
            f"{wish.delivery_id!r} is no delivery id. Write 1 to 100 letters, digits, '_', '.' or '-', beginning with a letter or digit"
        )
    with _building(workspace) as folder:
        entries = [_take(source, folder / name, name, link=wish.link, progress=progress) for source, name in files]
        with FileLock(str(workspace.lake.control / "deliver.lock")):
            sequence = _next_sequence(workspace, wish.site, wish.feed)
            name = wish.delivery_id or _free_id(workspace, wish, day, sequence)
            manifest: dict[str, object] = {
                "site": wish.site, "feed": wish.feed, "delivery_id": name, "period": wish.period, "sequence": sequence,
                "files": sorted(entries, key=lambda e: (e["sha256"], e["path"])),
            }  # fmt: skip
            _write_manifest(folder, manifest)
            _move_in(workspace, folder, wish.site, wish.feed, name)
    return Delivered(wish.site, wish.feed, name, sequence, len(entries), sum(int(e["bytes"]) for e in entries))


def closed_deliveries(path: Path) -> list[Path]:
    """The delivery folders at or below a path: one delivery, a feed, a site or a whole country of them."""
    if (path / MANIFEST).is_file():
        return [path]
    return sorted({m.parent for depth in ("*", "*/*", "*/*/*") for m in path.glob(f"{depth}/{MANIFEST}") if m.is_file()})


def hand_on(workspace: Workspace, folder: Path, *, link: bool = False, progress: Progress | None = None) -> Delivered:
    """Put a closed delivery into the inbox byte by byte, manifest last; whether it holds is for the door to say.

    Raises:
        UserError: Its manifest does not say where it belongs, or its place in the inbox is taken.
    """
    site, feed, name, sequence = _address(folder)
    with _building(workspace) as target:
        files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
        entries = [_take(p, target / p.relative_to(folder), "", link=link, progress=progress) for p in files]
        _move_in(workspace, target, site, feed, name)
    return Delivered(site, feed, name, sequence, len(entries) - 1, sum(int(e["bytes"]) for e in entries))


def _address(folder: Path) -> tuple[str, str, str, int]:
    try:
        raw = json.loads((folder / MANIFEST).read_bytes())
        site, feed, name = (str(raw[k]) for k in ("site", "feed", "delivery_id"))
        sequence = int(raw["sequence"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder}/{MANIFEST} does not say site, feed, delivery_id and sequence. Remedy: deliver the files with --site and --feed"
        ) from error
    if not all(map(_ID.fullmatch, (site, feed, name))):
        raise UserError(f"{folder}/{MANIFEST}: site, feed or delivery_id holds characters that no folder here may have")
    return site, feed, name, sequence


def _check_feed(workspace: Workspace, site: str, feed: str) -> None:
    if site not in workspace.sites:
        raise unknown_site(site, workspace.sites)
    feeds = workspace.sites[site].feeds
    if feed not in feeds:
        raise UserError(f"site {site} sends no feed {feed!r}. Its feeds: {', '.join(sorted(feeds))}")


@contextlib.contextmanager
def _building(workspace: Workspace) -> Iterator[Path]:
    """A folder on the lake's file system that goes away unless it was moved into the inbox."""
    folder = workspace.lake.control / "incoming" / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take(source: Path, target: Path, name: str, *, link: bool, progress: Progress | None) -> dict[str, str | int]:
    """Copy or link one file and hash what is now in the lake."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not (link and _linked(source, target)):
        _copy(source, target)
    digest = hashlib.sha256()
    size = 0
    with target.open("rb") as file:
        while part := file.read(_PART):
            digest.update(part)
            size += len(part)
            if progress is not None:
                progress(len(part))
        os.fsync(file.fileno())
    return {"path": name, "sha256": digest.hexdigest(), "bytes": size}


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False  # another file system, or links are not allowed there
    return True


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        if not _cloned(read, write):
            shutil.copyfileobj(read, write, _PART)


def _cloned(read: BinaryIO, write: BinaryIO) -> bool:
    try:
        fcntl.ioctl(write.fileno(), _CLONE, read.fileno())
    except OSError:
        return False
    return True


def _next_sequence(workspace: Workspace, site: str, feed: str) -> int:
    """One more than any delivery of the feed, in the ledger or in the inbox, claims."""
    waiting = [_sequence(f) for f in closed_folders(workspace.lake.inbox, site=site) if f.parts[-2] == feed]
    return max([workspace.deliveries.next_sequence(site, feed), *(s + 1 for s in waiting)])


def _sequence(folder: Path) -> int:
    try:
        return int(json.loads((folder / MANIFEST).read_bytes())["sequence"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _free_id(workspace: Workspace, wish: Wish, day: str, sequence: int) -> str:
    known = {row["delivery_id"] for row in workspace.deliveries.all_rows(wish.site, wish.feed)}
    names = (f"{day.replace('-', '')}-{number:04d}" for number in range(sequence, sequence + 10_000))
    return next(n for n in names if n not in known and not workspace.lake.inbox_delivery(wish.site, wish.feed, n).exists())


def _write_manifest(folder: Path, manifest: dict[str, object]) -> None:
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(manifest, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _move_in(workspace: Workspace, folder: Path, site: str, feed: str, name: str) -> None:
    target = workspace.lake.inbox_delivery(site, feed, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sync_folders([folder, *(p for p in folder.rglob("*") if p.is_dir())])
    try:
        os.rename(folder, target)
    except OSError as error:
        if target.exists():
            raise UserError(
                f"a delivery {name} of {site}/{feed} waits in the inbox already. Remedy: `biodam run`, or another --delivery-id"
            ) from error
        raise
    _sync_folders([target.parent])


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
