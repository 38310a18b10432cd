"""Where things are: the only module that reads the environment.

Belongs here: environment variables, their defaults, what child processes get of them. Does not belong here: any default of a program
part (it takes its value as an argument). Standard library only: every command pays for this import.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from assets.landing.workspace import Workspace

VARIABLES: Mapping[str, str] = {
    "LAKE_ROOT": "folder of the lake; default ./lake",
    "DAGSTER_HOME": "Dagster's own state; default LAKE_ROOT/control/dagster",
    "BIODAM_VAULT_KEY_FILE": "key file of the identity vault; default LAKE_ROOT/vault/key",
    "BIODAM_VAULT_KEY": "the key itself (32 bytes in base64) where it is in no file",
    "BIODAM_VAULT_URL": "SQLAlchemy URL of the vault; default a SQLite file in LAKE_ROOT/vault",
    "BIODAM_CONTROL_URL": "SQLAlchemy URL of the control database; default a SQLite file in LAKE_ROOT/control",
    "BIODAM_SITES": "folder of site files; default assets/sites",
    "BIODAM_AS_OF": "day on which consent is judged, YYYY-MM-DD; default today in Asia/Seoul",
    "BIODAM_LOCK_WAIT_S": "seconds a Dagster step waits for another run; default 900",
    "BIODAM_RETENTION_DAYS": "days that vacuum keeps replaced files; default 7",
    "BIODAM_DEBUG": "1 shows tracebacks",
}
"""Every variable Biodam reads, with its meaning."""

_QUIET = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DAGSTER_DISABLE_TELEMETRY": "yes"}
"""Set for every child: nothing we start reports to anybody."""

_DAGSTER_EVENTS = {"DAGSTER_EVENT_BATCH_SIZE": "500"}
"""The events that announce a run's assets and checks are stored together, not one by one."""

_DAGSTER_YAML = """\
# Written by orchestration/settings.py where it is absent. Everything stays in this folder.
telemetry:
  enabled: false
nux: # the page that asks for an e-mail address
  enabled: false
event_log_storage: # SQLite, with one connection kept open: see orchestration/event_log.py
  module: orchestration.event_log
  class: PooledEventLog
  config:
    base_dir: {base}/history/runs/
concurrency:
  pools:
    default_limit: 1 # pool "dbt": one writer of models at a time
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 60
"""


_DAGSTER_EVENT_FOLDER = re.compile(r"(?m)(^  class: PooledEventLog\n  config:\n    base_dir: ).*$")
"""Where our event log is kept, in the file above; the rest of it may be edited by whoever runs the lake."""


class SettingsError(ValueError):
    """A variable does not hold; the message names it and the remedy."""


@dataclass(frozen=True)
class Settings:
    """What the environment said.

    Attributes:
        lake_root: Absolute path of the lake.
        dagster_home: Absolute path of Dagster's state.
        vault_key_file: None: the lake's own.
        vault_key: None: in the key file. Never shown.
        vault_url: None: the lake's own SQLite file.
        control_url: None: the lake's own SQLite file.
        sites_folder: None: the project's own site files.
        as_of: None: today.
        lock_wait_s: How long a Dagster step waits for another run.
        retention_days: How long vacuum keeps replaced files.
        debug: Show tracebacks.
    """

    lake_root: Path
    dagster_home: Path
    vault_key_file: Path | None = None
    vault_key: str | None = field(default=None, repr=False)
    vault_url: str | None = None
    control_url: str | None = None
    sites_folder: Path | None = None
    as_of: date | None = None
    lock_wait_s: int = 900
    retention_days: int = 7
    debug: bool = False

    @property
    def day(self) -> date:
        """Day on which consent is judged: `BIODAM_AS_OF`, else today in Asia/Seoul."""
        return self.as_of or datetime.now(ZoneInfo("Asia/Seoul")).date()

    def workspace(self) -> Workspace:
        """The lake with its ledger, vault and sites (opened when first used)."""
        from assets.landing.workspace import Workspace

        return Workspace(
            self.lake_root,
            ledger_url=self.control_url,
            vault_url=self.vault_url,
            vault_key_file=self.vault_key_file,
            vault_key=self.vault_key,
            sites_folder=self.sites_folder,
        )

    def export(self) -> None:
        """Give child processes (dbt, Dagster's code server) the same lake, and tell them to report to nobody."""
        os.environ.update(_QUIET, **_DAGSTER_EVENTS, LAKE_ROOT=str(self.lake_root), DAGSTER_HOME=str(self.dagster_home))

    def write_dagster_home(self) -> None:
        """Make Dagster's folder, with its settings where there are none.

        A lake that was copied, moved or restored brings settings that name the place it had: its runs would write their events into another lake's.
        """
        self.dagster_home.mkdir(parents=True, exist_ok=True)
        target = self.dagster_home / "dagster.yaml"
        found = target.read_text(encoding="utf-8") if target.exists() else ""
        folder = f"{self.dagster_home}/history/runs/"
        wanted = _DAGSTER_EVENT_FOLDER.sub(lambda m: m[1] + folder, found) if found else _DAGSTER_YAML.format(base=self.dagster_home)
        if wanted != found:
            temporary = target.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(wanted, encoding="utf-8")
            temporary.replace(target)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the environment.

    Args:
        environment: Default: the process's own.

    Raises:
        SettingsError: A `BIODAM_` variable nobody knows, or a value that does not hold.
    """
    values = os.environ if environment is None else environment
    for name in values:
        if name.startswith("BIODAM_") and name not in VARIABLES:
            raise SettingsError(f"{name} is no setting of Biodam. {_near(name)}")
    root = Path(values.get("LAKE_ROOT") or "lake").expanduser().resolve()
    home = values.get("DAGSTER_HOME")
    return Settings(
        lake_root=root,
        dagster_home=Path(home).expanduser().resolve() if home else root / "control" / "dagster",
        vault_key_file=_path(values, "BIODAM_VAULT_KEY_FILE"),
        vault_key=_secret(values, "BIODAM_VAULT_KEY", unless="BIODAM_VAULT_KEY_FILE"),
        vault_url=_url(values, "BIODAM_VAULT_URL"),
        control_url=_url(values, "BIODAM_CONTROL_URL"),
        sites_folder=_folder(values, "BIODAM_SITES"),
        as_of=_day(values, "BIODAM_AS_OF"),
        lock_wait_s=_number(values, "BIODAM_LOCK_WAIT_S", 900, "seconds"),
        retention_days=_number(values, "BIODAM_RETENTION_DAYS", 7, "days"),
        debug=_switch(values, "BIODAM_DEBUG"),
    )


def _near(name: str) -> str:
    close = difflib.get_close_matches(name, VARIABLES, 1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(VARIABLES)}"


def _path(values: Mapping[str, str], name: str) -> Path | None:
    text = values.get(name)
    return Path(text).expanduser().resolve() if text else None


def _secret(values: Mapping[str, str], name: str, *, unless: str) -> str | None:
    text = values.get(name)
    if text and values.get(unless):
        raise SettingsError(f"{name} and {unless} are both set. Remedy: unset one of them")
    return text or None


def _folder(values: Mapping[str, str], name: str) -> Path | None:
    path = _path(values, name)
    if path is not None and not path.is_dir():
        raise SettingsError(f"{name}={values[name]}: there is no such folder. {VARIABLES[name].capitalize()}")
    return path


def _url(values: Mapping[str, str], name: str) -> str | None:
    text = values.get(name)
    if text and "://" not in text:
        raise SettingsError(f"{name} is no SQLAlchemy URL. Write for example postgresql+psycopg://host/database, or leave it unset")
    return text or None


def _day(values: Mapping[str, str], name: str) -> date | None:
    text = values.get(name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise SettingsError(f"{name}={text} is no day. Write YYYY-MM-DD, for example 2026-01-31") from error


def _number(values: Mapping[str, str], name: str, default: int, of: str) -> int:
    text = values.get(name)
    if not text:
        return default
    if not text.isdigit():
        raise SettingsError(f"{name}={text} is no number of {of}. Write for example {default}")
    return int(text)


def _switch(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "")
    if text not in ("", "0", "1"):
        raise SettingsError(f"{name}={text}: write 1 or leave it unset")
    return text == "1"
