"""Delivered files that speak of a person, destroyed in the landing store.

Belongs here: which files, and taking them away. Does not belong here: raw tables (`assets/lake/cut`), what it means for a later repair
(docs/OPERATIONS.md).

Records are blanked where every one of them can be found (`redact`); else the file goes whole, and what it held of others stands in raw tables, which from
then on are the only copy of those rows. A delivery whose manifest itself names the person goes whole too, manifest included.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from assets.erasure.forms import Needle
from assets.erasure.redact import WIRES, Shape, find_records, write_blanked
from assets.erasure.scan import Found, Scanner, scan_folder
from assets.formats.reasons import Reason
from assets.lake.durable import fsync_folders, sha256_file
from assets.landing.door import stored_folder
from assets.landing.manifest import MANIFEST, ManifestError, read_manifest, split_name
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey
from assets.ledger.schema import DeliveryState
from assets.privacy.scrub import load_rules

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


def told_path(workspace: Workspace, relative: str) -> str:
    """A path below the lake root as errors and receipts may tell it: a delivered file by its neutral name, not by that which its sender gave it."""
    parts = relative.split("/")
    depth = 5 if parts[1:2] and parts[1] in _BESIDE else 4
    if parts[0] != "landing" or len(parts) <= depth or parts[-1] == MANIFEST:
        return relative
    refs: list[str] = []
    if depth == 4:
        key = DeliveryKey(*parts[1:4])
        hashes = _hashes_at(workspace, key, workspace.lake.root / relative)
        refs = [f["ref"] for f in workspace.deliveries.files(key) if f["sha256"].lower() in hashes]
    return "/".join([*parts[:depth], refs[0] if refs else "(a file of no account)"])


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


def files_of_rows(workspace: Workspace, numbers: Mapping[tuple[str, str, str], set[int]]) -> dict[DeliveryKey, dict[str, set[int]]]:
    """Delivered files from which rows of raw tables came.

    Args:
        workspace: The lake.
        numbers: (site, delivery id, neutral reference) -> numbers of records.

    Returns:
        Delivery -> hash of the file -> numbers of records in it; none where the file was taken apart, so that they are of its parts.
    """
    wanted: dict[tuple[str, str], dict[str, set[int]]] = {}
    for (site, delivery, ref), found_numbers in numbers.items():
        wanted.setdefault((site, delivery), {})[ref] = found_numbers
    found: dict[DeliveryKey, dict[str, set[int]]] = {}
    for row in workspace.deliveries.all_rows():
        refs = wanted.get((row["site"], row["delivery_id"]), {})
        key = DeliveryKey(row["site"], row["feed"], row["delivery_id"])
        for file in workspace.deliveries.files(key) if refs else ():
            if file["ref"] in refs:
                found.setdefault(key, {}).setdefault(file["sha256"].lower(), set()).update(refs[file["ref"]])
    return found


def search(workspace: Workspace, scanner: Scanner) -> Found:
    """Files of the landing store that hold one of the values."""
    root = workspace.lake.root
    return scan_folder(
        workspace.lake.landing,
        scanner,
        counts=lambda path, needle: says_of(workspace, f"{workspace.lake.landing.relative_to(root)}/{path}", needle),
    )


def destroy(
    workspace: Workspace, erasure_id: str, files: Mapping[DeliveryKey, Mapping[str, set[int]]], found: Found, scanner: Scanner
) -> None:
    """Take out what speaks of the person: records from which rows came, and whatever holds a value.

    It is noted before it is done; a kill in between is finished by calling it again. Files of refused deliveries are in no account: they go unnoted.
    """
    landing = workspace.lake.landing
    done = {(key, sha256) for key, hashes in files.items() for sha256 in hashes}
    for key, hashes in files.items():
        for sha256, numbers in hashes.items():
            take_out(workspace, erasure_id, key, sha256, numbers, scanner)
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
            continue
        for sha256 in _hashes_at(workspace, key, path):
            if (key, sha256) not in done:
                take_out(workspace, erasure_id, key, sha256, set(), scanner)


def take_out(
    workspace: Workspace, erasure_id: str, key: DeliveryKey, sha256: str, numbers: set[int], scanner: Scanner | None = None
) -> None:
    """Blank records of a delivered file where that can be done beyond doubt, else destroy the file.

    Args:
        workspace: The lake.
        erasure_id: For the books.
        key: The delivery.
        sha256: Hash with which the file was accepted.
        numbers: Records of the person; those that were refused because the person was erased are added.
        scanner: Finds further records by what they hold. None: nothing is known any more but the numbers.
    """
    folder = stored_folder(workspace, key)
    try:
        manifest, _ = read_manifest(folder)
    except (OSError, ManifestError):  # a delivery of which an earlier erasure took the manifest
        return
    paths = [folder / f.path for f in manifest.files if f.sha256.lower() == sha256]
    if len(paths) == 1 and paths[0].exists() and _redact(workspace, erasure_id, key, sha256, paths[0], numbers, scanner):
        return
    workspace.erasures.note_files(erasure_id, key, [sha256])
    _unlink([p for p in paths if p.exists()], workspace.lake.landing)


def _redact(
    workspace: Workspace, erasure_id: str, key: DeliveryKey, sha256: str, path: Path, numbers: set[int], scanner: Scanner | None
) -> bool:
    """Whether every record of the person could be found and blanked; False: nothing was changed."""
    shape, late = _shape_of(workspace, key, sha256, path, knows_all=scanner is not None and not scanner.too_short)
    if shape is None:
        return False
    relative = str(path.relative_to(workspace.lake.root))

    def matches(block: bytes) -> list[int]:
        return [at for needle, at in scanner.positions(block) if says_of(workspace, relative, needle)] if scanner else []

    records = find_records(path, shape, numbers | late, matches)
    if records is None:
        return False
    if not records.lines:
        return not _speaks(workspace, scanner, path, relative)
    draft = workspace.lake.landing / ".spool" / "redacted"
    draft.parent.mkdir(exist_ok=True)
    digest = write_blanked(path, draft, shape, records)
    if _speaks(workspace, scanner, draft, relative):
        draft.unlink()
        return False
    workspace.erasures.note_files(erasure_id, key, [sha256], redacted=digest, records=records.numbers)
    if digest == sha256_file(path):
        draft.unlink()
    else:
        os.replace(draft, path)
        fsync_folders([path], below=workspace.lake.landing)
    return True


def _speaks(workspace: Workspace, scanner: Scanner | None, path: Path, relative: str) -> bool:
    """Whether anything of the person stands in a file that lies, or will lie, at a path below the lake root."""
    return scanner is not None and any(says_of(workspace, relative, needle) for needle in scanner.scan_file(path))


def _shape_of(workspace: Workspace, key: DeliveryKey, sha256: str, path: Path, *, knows_all: bool) -> tuple[Shape | None, set[int]]:
    """How a file is written, None where records of the person may be in it that nobody can find; and records refused as of an erased person.

    Duplicates and refused records are in no table: they are found by what they hold, so every record has to name its person, and every number of the
    person has to be long enough to be searched for.
    """
    row = workspace.deliveries.get(key)
    rows = [f for f in workspace.deliveries.files(key) if f["sha256"].lower() == sha256]
    if row is None or row["state"] != DeliveryState.LANDED or len(rows) != 1 or key.site not in workspace.sites:
        return None, set()
    refused = [q for q in workspace.deliveries.quarantine_history(key) if q["file_index"] == rows[0]["file_index"]]
    late = {q["row_number"] for q in refused if q["reason"] == Reason.ERASED_PERSON}
    others = [q for q in refused if q["reason"] != Reason.ERASED_PERSON]
    feed = workspace.sites[key.site].feeds[key.feed]
    named = not any(rule.verb == "person_of" for of in load_rules(feed.kind.family).values() for rule in of.rules.values())
    if any(q["row_number"] is None for q in refused) or ((others or rows[0]["duplicate"]) and not (knows_all and named)):
        return None, set()
    _, ending, compression = split_name(path.name)
    wire = feed.kind.formats.get(ending, feed.kind.formats.get("*"))
    layouts = any(layout.positions or layout.carry_down for layout in feed.tables.values())
    if wire not in WIRES or layouts or (codecs.lookup(feed.encoding).name.startswith(("utf-16", "utf-32")) and wire == "delimited"):
        return None, set()
    return Shape(str(wire), compression, feed.delimiter, feed.quote, rows[0]["counted"]), late


def _hashes_at(workspace: Workspace, key: DeliveryKey, path: Path) -> set[str]:
    folder = stored_folder(workspace, key)
    try:
        manifest, _ = read_manifest(folder)
    except (OSError, ManifestError):
        return set()
    return {f.sha256.lower() for f in manifest.files if folder / f.path == path}


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
