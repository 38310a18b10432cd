"""The door: is this delivery closed, whole and new?

Belongs here: the checks on a delivery as a whole, before any byte is parsed, and the moves between inbox and landing store.
Does not belong here: records (`assets/formats`), tables (`land`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assets.landing.folders import key_of
from assets.landing.manifest import MANIFEST, Manifest, ManifestError, ManifestFile, read_manifest
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey
from assets.ledger.schema import DeliveryState


@dataclass(frozen=True)
class Refusal(Exception):
    """Why a whole delivery is refused. `detail` says what is wrong and what to do, without any value from the data."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def closed_folders(inbox: Path, *, site: str | None = None) -> Iterator[Path]:
    """Delivery folders that have a manifest, in the order of site, feed and name. Others are still being uploaded."""
    for manifest in sorted(inbox.glob(f"{site or '*'}/*/*/{MANIFEST}")):
        if manifest.is_file() and not manifest.parent.is_symlink():
            yield manifest.parent


def admit(workspace: Workspace, folder: Path) -> DeliveryKey:
    """Take a closed delivery through the door.

    The outcome is in the ledger: accepted (bytes now in the landing store), duplicate, or refused with a reason. Calling it again after
    a kill goes on where it stopped. A refused delivery may be sent again under its id: the refused one is kept under another.

    Returns:
        The key under which the ledger knows the delivery.
    """
    key = key_of(folder, workspace.vault.key)
    _set_refused_aside(workspace, key)
    try:
        manifest, digest = read_manifest(folder)
    except ManifestError as error:
        return _refuse_unreadable(workspace, folder, key, error)
    known = workspace.deliveries.get(key)
    if known is not None and known["manifest_sha256"] != digest:
        other = DeliveryKey(key.site, key.feed, f"{key.delivery_id}~{digest[:8]}")
        _register(workspace, other, manifest, digest)
        detail = "this delivery id was used before with other content. Remedy: send it again under a new id"
        return _refuse(workspace, folder, other, Refusal("delivery_id_reused", detail))
    if known is not None and _have_it(workspace, key, known["state"]):
        shutil.rmtree(folder)  # the very same delivery again: its bytes are already ours
        return key
    _register(workspace, key, manifest, digest)
    try:
        _check_names(workspace, manifest, key)
        twin = _identical(workspace, manifest, key)
        if twin is not None:
            workspace.deliveries.close_duplicate(key, twin[0], twin[1])
            shutil.rmtree(folder)
            return key
        _check_sequence(workspace, manifest, key)
        _check_files(manifest, folder)
    except Refusal as refusal:
        return _refuse(workspace, folder, key, refusal)
    _store(workspace, folder, key)
    workspace.deliveries.move(key, DeliveryState.ACCEPTED)
    return key


def _have_it(workspace: Workspace, key: DeliveryKey, state: str) -> bool:
    if state == DeliveryState.DUPLICATE:
        return True
    return state in (DeliveryState.LANDED, DeliveryState.ACCEPTED) and _stored(workspace, key).exists()


def _set_refused_aside(workspace: Workspace, key: DeliveryKey) -> None:
    """Free the id of a refused delivery that is sent again; its row and its bytes stay, as `<id>~refused<n>`."""
    row = workspace.deliveries.get(key)
    if row is None or row["state"] != DeliveryState.REFUSED:
        return
    aside = workspace.deliveries.name_for_refused(key)
    for place in (_refused(workspace, key), _stored(workspace, key)):
        if place.exists():
            target = _refused(workspace, aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            os.rename(place, target)
    workspace.deliveries.rename_refused(key, aside)


def recover_stored(workspace: Workspace) -> None:
    """Accept deliveries that were moved to the landing store by a run that died before it could say so."""
    for key in workspace.deliveries.in_state(DeliveryState.WAITING):
        if _stored(workspace, key).exists() and not _inbox(workspace, key).exists():
            workspace.deliveries.move(key, DeliveryState.ACCEPTED)


def stored_folder(workspace: Workspace, key: DeliveryKey) -> Path:
    """Where the accepted bytes of a delivery are kept."""
    return _stored(workspace, key)


def _stored(workspace: Workspace, key: DeliveryKey) -> Path:
    return workspace.lake.landing / key.site / key.feed / key.delivery_id


def _refused(workspace: Workspace, key: DeliveryKey) -> Path:
    return workspace.lake.landing / "refused" / key.site / key.feed / key.delivery_id


def _inbox(workspace: Workspace, key: DeliveryKey) -> Path:
    return workspace.lake.inbox / key.site / key.feed / key.delivery_id


def _register(workspace: Workspace, key: DeliveryKey, manifest: Manifest, digest: str) -> None:
    workspace.deliveries.register(
        key, sequence=manifest.sequence, period=manifest.told_period, manifest_sha256=digest,
        content_digest=manifest.content_digest, size=sum(f.bytes for f in manifest.files),
    )  # fmt: skip


def _check_names(workspace: Workspace, manifest: Manifest, key: DeliveryKey) -> None:
    site = workspace.sites.get(key.site)
    if site is None:
        raise Refusal("unknown_site", f"no site file {key.site}.toml. Known sites: {', '.join(sorted(workspace.sites))}")
    if key.feed not in site.feeds:
        raise Refusal("unknown_feed", f"site {key.site} sends no feed {key.feed!r}. Its feeds: {', '.join(sorted(site.feeds))}")
    if (manifest.site, manifest.feed, manifest.delivery_id) != (key.site, key.feed, key.delivery_id):
        raise Refusal("manifest_path", "site, feed or delivery_id in manifest.json differ from the folder it lies in")


def _check_sequence(workspace: Workspace, manifest: Manifest, key: DeliveryKey) -> None:
    holder = workspace.deliveries.other_with_sequence(key, manifest.sequence)
    if holder is not None:
        detail = f"sequence {manifest.sequence} belongs to delivery {holder}. Remedy: number deliveries of a feed once each"
        raise Refusal("sequence_reused", detail)


def _identical(workspace: Workspace, manifest: Manifest, key: DeliveryKey) -> tuple[str, int] | None:
    """The newest landed delivery of this feed, if it holds the very same bytes and this one comes after it."""
    last = workspace.deliveries.last_landed(key.site, key.feed)
    if last is None or last["content_digest"] != manifest.content_digest or manifest.sequence < last["sequence"]:
        return None
    return last["delivery_id"], last["delivered"]


def _check_files(manifest: Manifest, folder: Path) -> None:
    named = {file.path for file in manifest.files} | {MANIFEST}
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()}
    if extra := len(found - named):
        raise Refusal("undeclared_file", f"{extra} file(s) in the folder are not in manifest.json. Remedy: name every file with its hash")
    for number, file in enumerate(manifest.files, 1):
        _check_file(number, file, folder / file.path)


def _check_file(number: int, file: ManifestFile, path: Path) -> None:
    where = f"file {number} of the manifest"
    if path.is_symlink() or not path.is_file():
        raise Refusal("file_missing", f"{where} is not in the folder. Remedy: upload all files before manifest.json")
    size = path.stat().st_size
    if size != file.bytes:
        raise Refusal(
            "size_mismatch",
            f"{where} has {size} bytes, the manifest says {file.bytes}: truncated or altered in transfer. Remedy: send again",
        )
    if sha256_of(path) != file.sha256.lower():
        raise Refusal("hash_mismatch", f"{where} has another SHA-256 than the manifest says: altered in transfer. Remedy: send again")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _store(workspace: Workspace, folder: Path, key: DeliveryKey) -> None:
    target = _stored(workspace, key)
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*"):
        _fsync(path)
    os.rename(folder, target)
    _fsync(target.parent)
    _fsync(folder.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_unreadable(workspace: Workspace, folder: Path, key: DeliveryKey, error: ManifestError) -> DeliveryKey:
    digest = sha256_of(folder / MANIFEST)
    if workspace.deliveries.get(key) is not None:
        key = DeliveryKey(key.site, key.feed, f"{key.delivery_id}~{digest[:8]}")
    workspace.deliveries.register(key, sequence=0, period=None, manifest_sha256=digest, content_digest=digest, size=0)
    return _refuse(workspace, folder, key, Refusal("manifest_invalid", f"{error.rule}: {error}"))


def _refuse(workspace: Workspace, folder: Path, key: DeliveryKey, refusal: Refusal) -> DeliveryKey:
    refused = _refused(workspace, key)
    refused.parent.mkdir(parents=True, exist_ok=True)
    if refused.exists():
        shutil.rmtree(refused)
    workspace.deliveries.move(key, DeliveryState.REFUSED, reason=refusal.reason, detail=refusal.detail)
    os.rename(folder, refused)
    return key
