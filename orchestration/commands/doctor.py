"""`biodam doctor`: what is set up wrongly, and what to do about it.

Belongs here: looking. Does not belong here: changing anything; it makes no folder, key or database.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assets.dbt_manifest import dbt_executable, is_current
from assets.ledger.schema import VERSION
from assets.run_lock import holder
from orchestration.settings import Settings

_LOW_DISK = 2 * 10**9
"""Free bytes below which a build may stop half way (it would be repeated; nothing is lost)."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    said: str

    @property
    def line(self) -> str:
        """For people."""
        return f"{'ok  ' if self.good else 'FAIL'}  {self.what}: {self.said}"


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; one thing that cannot be looked at does not hide the rest."""
    checks: list[tuple[str, Callable[[Settings], Iterator[Finding]]]] = [
        ("lake", _lake), ("disk", _disk), ("sites", _sites), ("vault", _vault), ("control database", _control), ("dbt project", _dbt),
        ("delta extension", _extension), ("inbox", _inbox), ("catalogue", _catalogue), ("lock", _lock), ("dagster", _dagster),
    ]  # fmt: skip
    return [finding for what, check in checks for finding in _careful(what, check, settings)]


def _careful(what: str, check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> list[Finding]:
    try:
        return list(check(settings))
    except Exception as error:  # the doctor must not fall ill
        from orchestration.errors import explain

        return [Finding(what, False, explain(error)[0])]


def _lake(settings: Settings) -> Iterator[Finding]:
    root = settings.lake_root
    if not root.exists():
        yield Finding("lake", True, f"{root} does not exist yet; the first delivery makes it")
    else:
        writable = os.access(root, os.W_OK)
        yield Finding("lake", writable, str(root) if writable else f"{root} cannot be written. Remedy: see who owns it")
    if any(c in str(root) for c in "*?[]"):
        yield Finding("lake", False, f"{root}: DuckDB takes * ? [ ] in a path for a pattern. Remedy: another LAKE_ROOT")


def _disk(settings: Settings) -> Iterator[Finding]:
    place = settings.lake_root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    yield Finding(
        "disk", free > _LOW_DISK, f"{free / 1e9:.1f} GB free" + ("" if free > _LOW_DISK else ". Remedy: make room before the next run")
    )


def _sites(settings: Settings) -> Iterator[Finding]:
    from assets.sites.site import load_sites

    sites = load_sites(settings.sites_folder) if settings.sites_folder else load_sites()
    yield Finding("sites", bool(sites), ", ".join(sorted(sites)) or "no site file. Remedy: write one (CONTRIBUTING.md)")


def _vault(settings: Settings) -> Iterator[Finding]:
    workspace = settings.workspace()
    key = workspace.vault_key_place
    if settings.vault_key is None and not key.exists():
        exists = settings.vault_url is None and (settings.lake_root / "vault" / "vault.db").exists()
        yield Finding("vault", not exists, "the vault is there, its key is not. Remedy: restore the key file" if exists else "none yet")
        return
    from assets.privacy.keys import load_key

    mine = load_key(key, create=False, text=settings.vault_key).ident
    if settings.vault_url is None and workspace.lake.vault_database.exists():
        yield _wrapped_under(workspace.lake.vault_database, mine)
    beside = settings.vault_key_file is None and settings.vault_key is None
    where = "key in the environment" if settings.vault_key else "key readable by its owner only"
    yield Finding("vault", True, where + ("; keep a copy elsewhere, it lies beside the vault" if beside else ""))


def _wrapped_under(vault: Path, mine: str) -> Finding:
    """Whether this key is the vault's; read only, so an older vault is not taken along here."""
    with closing(sqlite3.connect(f"file:{vault}?mode=ro", uri=True)) as connection:
        if not connection.execute("select 1 from sqlite_master where name = 'data_key'").fetchone():
            return Finding("vault", True, "of an earlier release; the next run takes its keys along")
        theirs = [kek for (kek,) in connection.execute("select distinct kek from data_key")]
    if theirs in ([], [mine]):
        return Finding("vault", True, f"the key (ident {mine}) is this vault's")
    return Finding("vault", False, f"the key is {mine}, the vault's keys are wrapped under {', '.join(theirs)}. Remedy: name the right key")


def _control(settings: Settings) -> Iterator[Finding]:
    if settings.control_url is not None:
        settings.workspace().deliveries.all_rows("-")
        yield Finding("control database", True, "answers")
        return
    path = settings.lake_root / "control" / "control.db"
    if not path.exists():
        yield Finding("control database", True, "none yet")
        return
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        said = connection.execute("pragma quick_check").fetchone()[0]
        tables = {name for (name,) in connection.execute("select name from sqlite_master")}
        version = connection.execute("select max(version) from ledger_version").fetchone()[0] if "ledger_version" in tables else 1
    if version != VERSION:
        later = "written by a later release. Remedy: install that release, or restore the backup from before the upgrade"
        yield Finding(
            "control database",
            version < VERSION,
            f"version {version}, ours is {VERSION}: {later if version > VERSION else 'the next run takes it there'}",
        )
    yield Finding("control database", said == "ok", said if said == "ok" else f"{said}. Remedy: restore control/control.db from a backup")


def _dbt(settings: Settings) -> Iterator[Finding]:
    yield Finding(
        "dbt", dbt_executable().exists(), "installed" if dbt_executable().exists() else "not in this environment. Remedy: make setup"
    )
    yield Finding(
        "dbt project",
        is_current(),
        "parsed" if is_current() else "changed since it was parsed. Remedy: make parse (`biodam run` does it too)",
    )


def _extension(settings: Settings) -> Iterator[Finding]:
    from assets.lake.extensions import extension_path

    yield Finding("delta extension", extension_path().exists(), "found in its wheel")


def _inbox(settings: Settings) -> Iterator[Finding]:
    inbox = settings.lake_root / "inbox"
    open_folders = [p for p in inbox.glob("*/*/*") if p.is_dir() and not (p / "manifest.json").exists()]
    for folder in open_folders:
        since = datetime.fromtimestamp(folder.stat().st_mtime).astimezone().isoformat(timespec="minutes")
        name = "/".join(folder.parts[-3:])
        yield Finding("inbox", True, f"{name} has no manifest.json since {since}: still being uploaded, so not touched")
    stray = [p for p in (*inbox.glob("*"), *inbox.glob("*/*")) if not p.is_dir()]
    if stray:
        yield Finding(
            "inbox",
            False,
            f"{len(stray)} file(s) lie outside a delivery. Remedy: `biodam deliver` them, or inbox/<site>/<feed>/<delivery_id>/",
        )
    elif not open_folders:
        yield Finding("inbox", True, "nothing half delivered")


def _catalogue(settings: Settings) -> Iterator[Finding]:
    path = settings.lake_root / "catalogue" / "biodam.duckdb"
    if not path.exists():
        yield Finding("catalogue", True, "nothing published yet")
        return
    import duckdb

    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.execute("select count(*), max(published_at) from biodam_tables").fetchone()
    yield Finding("catalogue", True, f"{row[0] if row else 0} tables, published {row[1] if row else ''} UTC")


def _lock(settings: Settings) -> Iterator[Finding]:
    who = holder(settings.lake_root)
    yield Finding("lock", True, f"held: {who}" if who else "free")


def _dagster(settings: Settings) -> Iterator[Finding]:
    yaml = settings.dagster_home / "dagster.yaml"
    if not yaml.exists():
        yield Finding("dagster", True, f"{settings.dagster_home} is set up by the first run")
        return
    silent = "enabled: false" in yaml.read_text(encoding="utf-8")
    yield Finding(
        "dagster",
        silent,
        str(settings.dagster_home) if silent else f"{yaml} does not switch telemetry off. Remedy: telemetry: {{enabled: false}}",
    )
