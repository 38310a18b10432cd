"""Where everything of one lake lies on disk.

Belongs here: names of folders and files below the lake root. Does not belong here: reading or writing any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Lake:
    """One lake: a folder with everything that is not code.

    Attributes:
        root: Absolute path of the lake root (`LAKE_ROOT`).
    """

    root: Path

    def __post_init__(self) -> None:
        """Make the root absolute, so that a later change of directory cannot move the lake."""
        object.__setattr__(self, "root", Path(self.root).expanduser().resolve())

    @property
    def inbox(self) -> Path:
        """Deliveries that wait: `<site>/<feed>/<delivery_id>/`."""
        return self.root / "inbox"

    @property
    def landing(self) -> Path:
        """Bytes of accepted deliveries, kept as delivered."""
        return self.root / "landing"

    @property
    def tables(self) -> Path:
        """Every Delta table, by schema."""
        return self.root / "tables"

    @property
    def control(self) -> Path:
        """Control database, plan, lock and Dagster's own state."""
        return self.root / "control"

    @property
    def control_database(self) -> Path:
        """SQLite file of the control database, where no URL is configured."""
        return self.control / "control.db"

    @property
    def plan(self) -> Path:
        """What the next dbt run rebuilds; read by the dbt plugin."""
        return self.control / "plan.json"

    @property
    def audit_head(self) -> Path:
        """Mark of the newest row of the audit; read where the control database is not believed."""
        return self.control / "audit.head"

    @property
    def read_spool(self) -> Path:
        """Where those who may not write to `control` leave the record of their reads; only used where somebody made it."""
        return self.root / "catalogue" / "reads"

    @property
    def run_lock(self) -> Path:
        """Held by the one run that may write."""
        return self.control / "run.lock"

    @property
    def dbt_commits(self) -> Path:
        """One JSON line per Delta commit of a dbt model; the caller turns them into ledger rows."""
        return self.control / "dbt_commits.jsonl"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder."""
        return self.control / "dagster"

    @property
    def scratch(self) -> Path:
        """Spill files of DuckDB; holds rows while a query runs, nothing after."""
        return self.control / "scratch"

    @property
    def vault(self) -> Path:
        """Identity vault; never below `tables`, never published."""
        return self.root / "vault"

    @property
    def vault_database(self) -> Path:
        """SQLite file of the vault."""
        return self.vault / "vault.db"

    @property
    def vault_key(self) -> Path:
        """Key file of the vault, mode 0600."""
        return self.vault / "key"

    @property
    def catalogue(self) -> Path:
        """The DuckDB file that analysts open."""
        return self.root / "catalogue" / "biodam.duckdb"

    @property
    def exports(self) -> Path:
        """Files written for people outside."""
        return self.root / "exports"

    def table(self, key: str) -> Path:
        """Folder of a Delta table.

        Args:
            key: Path below `tables`, for example `raw/fhir/condition` or `omop/person`.

        Raises:
            ValueError: The key would leave `tables`.
        """
        parts = key.split("/")
        if not parts or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"not a table key: {key!r}")
        return self.tables.joinpath(*parts)

    def inbox_delivery(self, site: str, feed: str, delivery_id: str) -> Path:
        """Folder of a waiting delivery."""
        return self.inbox / site / feed / delivery_id

    def landed_delivery(self, site: str, feed: str, delivery_id: str) -> Path:
        """Folder of an accepted delivery."""
        return self.landing / site / feed / delivery_id

    def table_keys(self) -> tuple[str, ...]:
        """Keys of all Delta tables on disk, sorted. Looks at folder names only, opens nothing."""
        logs = (*self.tables.glob("*/*/_delta_log"), *self.tables.glob("*/*/*/_delta_log"))
        return tuple(sorted(str(log.parent.relative_to(self.tables)) for log in logs))
