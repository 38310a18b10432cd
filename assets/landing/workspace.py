"""What landing works on: one lake with its ledger, vault and sites, opened together.

Belongs here: opening them. Does not belong here: where they are (settings pass that in).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from assets.lake.commits import CommitReceipt
from assets.lake.paths import Lake
from assets.lake.versions import scan_of
from assets.lake.writer import RecordCommit
from assets.ledger.audit import Audit
from assets.ledger.commits import CommitEntry, Commits
from assets.ledger.deliveries import Deliveries
from assets.ledger.erasures import Erasures
from assets.ledger.headers import Headers
from assets.ledger.schema import open_ledger
from assets.ledger.set_aside import SetAside
from assets.ledger.stamps import Stamps
from assets.ledger.upkeep import UpkeepBooks
from assets.ledger.withdrawn import Withdrawn
from assets.ledger.withheld import withheld_values
from assets.privacy.keys import KeyProblem
from assets.privacy.vault import Vault, open_vault
from assets.sites.site import Site, load_sites

_ASSETS = Path(__file__).parents[1]


@dataclass
class Workspace:
    """One lake and everything that keeps its books. Cheap to make; parts open when first used."""

    root: Path
    ledger_url: str | None = None
    vault_url: str | None = None
    vault_key_file: Path | None = None
    vault_key: str | None = field(default=None, repr=False)
    sites_folder: Path | None = None

    @cached_property
    def lake(self) -> Lake:
        """Paths of the lake."""
        return Lake(self.root)

    @cached_property
    def sites(self) -> Mapping[str, Site]:
        """All sites by id."""
        return load_sites(self.sites_folder) if self.sites_folder else load_sites()

    @property
    def links_by_likeness(self) -> dict[str, bool]:
        """Site -> may its people be linked by likeness?"""
        return {site.site: site.link_by_likeness for site in self.sites.values()}

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_ledger(self.ledger_url or self.root / "control" / "control.db")

    @property
    def audit(self) -> Audit:
        """Who did what, and who read."""
        return Audit(self.ledger_url or self.lake.control_database, self.lake.audit_head)

    @cached_property
    def deliveries(self) -> Deliveries:
        """Delivery rows."""
        return Deliveries(self._engine)

    def scan(self, key: str) -> str | None:
        """What to select from to read a table at the version the ledger knows, on a connection of `open_duckdb`; None: it was never written."""
        version = self.commits.latest_version(key)
        return None if version is None else scan_of(self.lake, key, version)

    def withheld(self, site: str | None = None) -> list[dict[str, Any]]:
        """Values that did not pass because they look like an identifier, by delivery and column."""
        return withheld_values(self._engine, site)

    @cached_property
    def commits(self) -> Commits:
        """Commit, change and build rows."""
        return Commits(self._engine, code_version=self.rule_version)

    def recorder(self, cause: str) -> RecordCommit:
        """What hands a Delta commit to the ledger.

        Args:
            cause: Of commits that state none themselves. One that a killed writer left is recorded with the cause it states.
        """

        def record(r: CommitReceipt) -> None:
            stated = str(r.metadata.get("cause", cause))
            self.commits.record(CommitEntry(r.table, r.version, r.rows, r.files, r.log_sha256, stated))

        return record

    @cached_property
    def headers(self) -> Headers:
        """Columns that deliveries came with, and how they changed."""
        return Headers(self._engine)

    @cached_property
    def set_aside(self) -> SetAside:
        """People whom builds leave out."""
        return SetAside(self._engine)

    @cached_property
    def withdrawn(self) -> Withdrawn:
        """People who have withdrawn wholly, and what is held of them."""
        return Withdrawn(self._engine)

    @cached_property
    def stamps(self) -> Stamps:
        """Stamps of frozen cohorts."""
        return Stamps(self._engine)

    @cached_property
    def upkeep(self) -> UpkeepBooks:
        """Files taken away, commits taken back, tables found whole."""
        return UpkeepBooks(self._engine)

    @cached_property
    def erasures(self) -> Erasures:
        """Erasures: how far each is, what it took away."""
        return Erasures(self._engine)

    @cached_property
    def vault(self) -> Vault:
        """The identity vault."""
        try:
            opened = open_vault(self.vault_database, self.vault_key_place, key_text=self.vault_key)
        except KeyProblem:
            self.audit.append("vault.refused")
            raise
        self.audit.append("vault.open", key=opened.kek)
        return opened

    @property
    def vault_database(self) -> str | Path:
        """SQLAlchemy URL or SQLite file of the vault."""
        return self.vault_url or self.lake.vault_database

    @property
    def vault_key_place(self) -> Path:
        """Key file of the vault; not read where the key itself is given."""
        return self.vault_key_file or self.lake.vault_key

    @cached_property
    def rule_version(self) -> str:
        """Hash of the contracts and allow-lists: names the rules that a record was judged by."""
        digest = hashlib.sha256()
        for folder in ("contracts", "privacy/rules"):
            for path in sorted((_ASSETS / folder).glob("*.toml")):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:12]
