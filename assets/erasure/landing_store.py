"""Delivered files that speak of a person, destroyed in the landing store.

Belongs here: which files, and taking them away. Does not belong here: raw tables (`assets/lake/cut`), what it means for a later repair
(docs/OPERATIONS.md).

A file goes whole: no format-by-format surgery could be proven. What it held of others stands in raw tables, which from then on are the only
copy of those rows. A delivery whose manifest itself names the person goes whole too, manifest included.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from assets.erasure.scan import Found, Needle, Scanner, scan_folder
from assets.lake.durable import fsync_folders
from assets.landing.door import stored_folder
from assets.landing.manifest import MANIFEST, ManifestError, read_manifest
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey

CONSENT_SERVICE = "consent_service"
_BESIDE = ("refused", ".spool")
"""Folders beside those of the sites."""


def says_of(workspace: Workspace, relative: str, needle: Needle) -> bool:
    """Whether a match at a path below the lake root is about the person.

    A hospital's own number means somebody else at another hospital; as a bare number in a manifest it may be a file size.
    """
    parts = relative.split("/")
    if not needle.site or parts[0] != "landing" or len(parts) < 2:
        return True
    site = parts[2] if parts[1] in _BESIDE and len(parts) > 2 else parts[1]
    if site != needle.site and not (site in workspace.sites and workspace.sites[site].kind == CONSENT_SERVICE):
        return False
    if parts[-1] == MANIFEST and needle.value.isdigit():
        return _is_in_text(workspace.lake.root / relative, needle)
    return True


def _is_in_text(manifest: Path, needle: Needle) -> bool:
    """Whether a manifest holds a number in one of its texts."""
    try:
        said = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return True
    texts: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, str):
            texts.append(value)
        for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(child)

    walk(said)
    return bool(Scanner([needle]).scan_bytes("\n".join(texts).encode()))


def files_of_rows(workspace: Workspace, places: Iterable[tuple[str, str, str]]) -> dict[DeliveryKey, set[str]]:
    """Delivered files by hash from which rows of raw tables came: (site, delivery id, neutral reference)."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for site, delivery, ref in places:
        wanted.setdefault((site, delivery), set()).add(ref)
    found: dict[DeliveryKey, set[str]] = {}
    for row in workspace.deliveries.all_rows():
        refs = wanted.get((row["site"], row["delivery_id"]))
        if refs is None:
            continue
        key = DeliveryKey(row["site"], row["feed"], row["delivery_id"])
        hashes = {f["sha256"].lower() for f in workspace.deliveries.files(key) if f["ref"] in refs}
        if hashes:
            found[key] = hashes
    return found


def search(workspace: Workspace, scanner: Scanner) -> Found:
    """Files of the landing store that hold one of the values."""
    root = workspace.lake.root
    return scan_folder(
        workspace.lake.landing,
        scanner,
        counts=lambda path, needle: says_of(workspace, f"{workspace.lake.landing.relative_to(root)}/{path}", needle),
    )


def destroy(workspace: Workspace, erasure_id: str, files: dict[DeliveryKey, set[str]], found: Found) -> None:
    """Take the files away: those from which rows came, and those that hold a value.

    It is noted before it is done; a kill in between is finished by calling it again. Files of refused deliveries are in no account: they go unnoted.
    """
    landing = workspace.lake.landing
    for key, hashes in files.items():
        destroy_files(workspace, erasure_id, key, hashes)
    for relative in sorted(found.hits):
        path = landing / relative
        parts = Path(relative).parts
        if not path.exists():
            continue
        if parts[0] in _BESIDE or len(parts) < 4:
            _unlink([path], landing)
            continue
        key = DeliveryKey(*parts[:3])
        if path.name == MANIFEST and len(parts) == 4:
            _destroy_delivery(workspace, erasure_id, key)
        else:
            destroy_files(workspace, erasure_id, key, _hashes_at(workspace, key, path))


def _hashes_at(workspace: Workspace, key: DeliveryKey, path: Path) -> set[str]:
    folder = stored_folder(workspace, key)
    try:
        manifest, _ = read_manifest(folder)
    except (OSError, ManifestError):
        return set()
    return {f.sha256.lower() for f in manifest.files if folder / f.path == path}


def destroy_files(workspace: Workspace, erasure_id: str, key: DeliveryKey, hashes: set[str]) -> None:
    """Take files of a delivery away, by the hash they were accepted with; noted first. What is gone is gone."""
    folder = stored_folder(workspace, key)
    try:
        manifest, _ = read_manifest(folder)
    except (OSError, ManifestError):  # a delivery of which an earlier erasure took the manifest
        return
    paths = [folder / f.path for f in manifest.files if f.sha256.lower() in hashes]
    workspace.erasures.note_files(erasure_id, key, hashes)
    _unlink([p for p in paths if p.exists()], workspace.lake.landing)


def _destroy_delivery(workspace: Workspace, erasure_id: str, key: DeliveryKey) -> None:
    folder = stored_folder(workspace, key)
    manifest, _ = read_manifest(folder)
    workspace.erasures.note_files(erasure_id, key, {f.sha256.lower() for f in manifest.files})
    for path in sorted(
        folder.rglob("*"), key=lambda p: p.name == MANIFEST and p.parent == folder
    ):  # the manifest last: it names the others
        if path.is_file():
            path.unlink()
    shutil.rmtree(folder)
    fsync_folders([folder], below=workspace.lake.landing)


def _unlink(paths: list[Path], landing: Path) -> None:
    for path in paths:
        path.unlink()
    if paths:
        fsync_folders(paths, below=landing)
