"""What assets are given: the lake, and dbt.

Belongs here: Dagster resources. Does not belong here: where things are (`orchestration/settings.py` fills these in), any asset.
Nothing is opened when a resource is made.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from packaging.version import Version

from assets.landing.workspace import Workspace
from assets.run_lock import hold_lake


@contextmanager
def _dbt_core_hidden() -> Iterator[None]:
    """Let dagster-dbt take its path for machines without dbt-core: it needs none of it in this process, and its import costs 2.5 CPU s.

    dbt itself runs in a process of its own.
    """
    names = [name for name in ("dbt", "dbt.version") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


with _dbt_core_hidden():
    from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource


class LakeResource(dg.ConfigurableResource[Any]):
    """One lake. Paths and URLs only; what they lead to is opened when first used.

    Attributes:
        root: Lake root, absolute.
        control_url, vault_url: SQLAlchemy URLs; empty: SQLite files of the lake.
        vault_key_file, sites_folder: Empty: the lake's and the project's own.
        vault_key: Empty: in the key file. Only ever a name of the environment (`dg.EnvVar`), so that Dagster stores no key.
        as_of: YYYY-MM-DD; empty: today in Asia/Seoul.
        lock_wait_s: How long a step waits for another run.
        retention_days: How long vacuum keeps replaced files.
    """

    root: str
    control_url: str = ""
    vault_url: str = ""
    vault_key_file: str = ""
    vault_key: str = ""
    sites_folder: str = ""
    as_of: str = ""
    lock_wait_s: int = 900
    retention_days: int = 7

    def workspace(self) -> Workspace:
        """The lake with ledger, vault and sites."""
        return Workspace(
            Path(self.root),
            ledger_url=self.control_url or None,
            vault_url=self.vault_url or None,
            vault_key_file=Path(self.vault_key_file) if self.vault_key_file else None,
            vault_key=self.vault_key or None,
            sites_folder=Path(self.sites_folder) if self.sites_folder else None,
        )

    @property
    def asked_day(self) -> date | None:
        """Day on which somebody wants consent to be judged, or None."""
        return date.fromisoformat(self.as_of) if self.as_of else None

    @property
    def day(self) -> date:
        """Day of the run: the one asked for, else today. Consent is judged on `assets/planning: consent_day`."""
        return self.asked_day or datetime.now(ZoneInfo("Asia/Seoul")).date()

    @contextmanager
    def hold(self, purpose: str) -> Iterator[None]:
        """Hold the lake for writing; waits for another run.

        Raises:
            LakeBusy: Another run still holds it after `lock_wait_s` seconds.
        """
        with hold_lake(Path(self.root), purpose=purpose, wait_s=self.lock_wait_s):
            yield


class FastDbt(DbtCliResource):
    """dbt in a process of its own, without what dagster-dbt adds in this one: `dbt --version` and a second adapter with its database."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(importlib.metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Any) -> Any:
        return None


__all__ = ["DagsterDbtTranslator", "DagsterDbtTranslatorSettings", "DbtCliResource", "FastDbt", "LakeResource"]
