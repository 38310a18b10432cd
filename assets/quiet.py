"""Is there anything to do? Answered without opening a table, a database or a library.

Belongs here: the marker that a finished run leaves, and the fingerprints it holds. Does not belong here: deciding what to build
(`assets/planning`). Standard library only: an idle `biodam run` must cost next to nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
_CODE = (
    ("dbt_project", {".sql", ".yml", ".csv"}),
    ("assets/contracts", {".toml"}),
    ("assets/privacy/rules", {".toml"}),
)
_SKIP = frozenset({"target", "dbt_packages", "logs"})


def code_version() -> str:
    """Hash of everything that decides what a model holds: dbt project, contracts and allow-lists."""
    digest = hashlib.sha256()
    for folder, endings in _CODE:
        root = REPOSITORY / folder
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            if path.suffix in endings and not _SKIP.intersection(relative.parts) and path.is_file():
                digest.update(f"{folder}/{relative}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def sites_version(folder: Path) -> str:
    """Hash of all site files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.toml")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def default_sites_folder() -> Path:
    """Where the project's own site files are."""
    return REPOSITORY / "assets" / "sites"


def is_quiet(root: Path, sites_folder: Path, as_of: date, *, asked: bool = True) -> bool:
    """True where a run would find nothing to do.

    Args:
        root: Lake root.
        sites_folder: Folder of the site files in use.
        as_of: Day of the run; consent that begins or ends by then has to be built in.
        asked: Somebody asked for that day. False: it is the clock's, which may have gone back (`assets/planning: consent_day`).
    """
    try:
        mark = json.loads(_marker(root).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if any((root / "inbox").glob("*/*/*/manifest.json")) or not (root / "catalogue" / "biodam.duckdb").exists():
        return False
    day = as_of.isoformat() if asked else max(as_of.isoformat(), mark["as_of"])
    if mark["as_of"] > day or consent_changes(mark, day):
        return False
    return bool(mark["code"] == code_version() and mark["sites"] == sites_version(sites_folder))


def consent_changes(build: Mapping[str, Any], day: str) -> bool:
    """True where consent has begun or ended by itself since a build.

    Args:
        build: What the build foresaw: `next_consent_change`, YYYY-MM-DD or None.
        day: Today, YYYY-MM-DD.
    """
    return bool((build["next_consent_change"] or "9999-12-31") <= day)


def mark_quiet(root: Path, sites_folder: Path, *, as_of: date, next_consent_change: str | None) -> None:
    """Leave the marker. Call it last, when landing, build and publishing have all ended well."""
    mark = {
        "as_of": as_of.isoformat(),
        "next_consent_change": next_consent_change,
        "code": code_version(),
        "sites": sites_version(sites_folder),
    }
    path = _marker(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(mark), encoding="utf-8")
    os.replace(temporary, path)


def break_quiet(root: Path) -> None:
    """Take the marker away. Call it before anything in the lake changes."""
    _marker(root).unlink(missing_ok=True)


def _marker(root: Path) -> Path:
    return root / "control" / "quiet.json"
