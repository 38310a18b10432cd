"""One lake for modules that each look at sites of their own: a build costs 25 CPU seconds for seven people and little more for a thousand.

A module says in a `Part` which sites it speaks for and what they deliver. The fixture `one_lake` lands the parts of all modules that run, in two steps,
and hands each module a `View` that shows its own sites only: what a test reads is what it would read were its sites alone. Sites and consent
services of two parts must differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from tests.conftest import Biodam

AS_OF = "2026-06-30"


def _nothing(_: Path) -> None:
    """No delivery."""


@dataclass(frozen=True)
class Part:
    """What one module lands.

    Attributes:
        sites: Site -> text of its file.
        first: Writes deliveries into the inbox of a lake before the first run.
        second: The same, before the second run.
        look: What the module wants to remember of the lake between the two runs.
    """

    sites: Mapping[str, str]
    first: Callable[[Path], None]
    second: Callable[[Path], None] = _nothing
    look: Callable[[Biodam], Any] = lambda _: None


@dataclass(frozen=True)
class View(Biodam):
    """The command line on a shared lake whose queries and status know only some of its sites."""

    sites: frozenset[str] = field(default_factory=frozenset)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query in which every published table holds rows of these sites and their people only."""
        words = set(re.findall(r"\w+", sql))
        with duckdb.connect(str(self.lake / "catalogue" / "biodam.duckdb"), read_only=True) as connection:
            for table, narrowed in self._narrowed.items():
                if table in words:
                    connection.execute(f"create temp view {table} as {narrowed}")
            return connection.execute(sql).fetchall()

    @cached_property
    def _narrowed(self) -> dict[str, str]:
        """Table -> its rows of these sites or, where it names no site, of their people. A table of neither is seen whole."""
        names = ", ".join(f"'{site}'" for site in sorted(self.sites))
        of_site = f"site in ({names})"
        of_person = f"person_id in (select person_id from biodam.main.person where {of_site})"
        columns = super().query("select table_name, list(column_name) from duckdb_columns() where not internal group by 1")
        return {
            table: f"from biodam.main.{table} where {of_site if 'site' in found else of_person}"
            for table, found in columns
            if "site" in found or "person_id" in found
        }

    def status(self) -> Any:
        """What `biodam status --json` says of these sites."""
        status = json.loads(self("status", "--json", check=False).stdout)
        return {**status, "feeds": [feed for feed in status["feeds"] if feed["site"] in self.sites]}


class OneLake:
    """The lake of some parts after both runs."""

    def __init__(self, folder: Path, parts: Iterable[Part]) -> None:
        self._sites = folder / "sites"
        self._lake = folder / "lake"
        self._sites.mkdir()
        parts = list(parts)
        for part in parts:
            self._write_sites(part)
        self._run(part.first for part in parts)
        self._seen = {id(part): part.look(self.of(part)) for part in parts}
        later = [part.second for part in parts if part.second is not _nothing]
        if later:
            self._run(later)

    def _write_sites(self, part: Part) -> None:
        for site, text in part.sites.items():
            path = self._sites / f"{site}.toml"
            assert not path.exists(), f"{site} is a site of two parts"
            path.write_text(text, encoding="utf-8")

    def _run(self, deliveries: Iterable[Callable[[Path], None]]) -> None:
        for deliver in deliveries:
            deliver(self._lake)
        Biodam(self._lake, self._environment)("run")

    @property
    def _environment(self) -> dict[str, str]:
        return {"BIODAM_SITES": str(self._sites), "BIODAM_AS_OF": AS_OF}

    def of(self, part: Part) -> View:
        """The lake as far as a part's sites fill it."""
        return View(self._lake, self._environment, sites=frozenset(part.sites))

    def seen(self, part: Part) -> Any:
        """What the part's `look` found between the runs."""
        return self._seen[id(part)]
