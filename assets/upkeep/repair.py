"""`biodam repair`: damaged tables back to what the ledger says they held.

Belongs here: what is done about each finding of `verify`. Does not belong here: finding (`scrub`), writing lost rows (`assets/landing/restoring`).

| damaged | what is done | what is lost |
|---|---|---|
| checkpoint | taken away, made anew from the log | nothing |
| data file that no present version reads | taken away, noted in the ledger | that old version |
| raw table | rolled back to its last good version; lost rows are parsed again from the landing store | nothing |
| table of a model, `reference/site`, `reference/code_map` | removed; the next run builds it anew | nothing |
| members of frozen cohorts | removed; `biodam cohort rebuild NAME --restore` | nothing, as long as the versions of the stamp are kept |
| table of an Athena export | removed; `biodam vocabulary load` again | nothing |

Rows are found lost by counting, not by remembering what was damaged, so a repair that is killed goes on when it is called again, and a lake
without any table is restored the same way.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np

from assets.lake.commits import log_file
from assets.lake.durable import replace_file
from assets.lake.extensions import open_duckdb
from assets.lake.log_state import LogState
from assets.lake.rollback import drop_checkpoints, make_checkpoint, roll_back
from assets.lake.sql import sql_literal
from assets.lake.versions import scan_of
from assets.landing.again import CannotReplay
from assets.landing.restoring import land_lost, restore_people
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey, utc_now
from assets.ledger.schema import DeliveryState
from assets.quiet import break_quiet
from assets.upkeep.rows import held_rows, landed_tables
from assets.upkeep.scrub import Finding, Kind
from assets.upkeep.verify import tables_of, verify_table

PEOPLE = ("raw/people/sighting", "raw/people/link")
_SITE_TABLES = ("reference/site", "reference/code_map")
_HARM = (Kind.DAMAGED, Kind.MISSING)


@dataclass
class Repaired:
    """What a repair did.

    Attributes:
        done: One sentence a table.
        rows: Raw table -> rows landed again.
        left: What could not be put right, with the remedy.
        rebuild: The next run has to build every model.
    """

    done: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    rebuild: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"done": self.done, "rows": self.rows, "left": self.left, "rebuild": self.rebuild}


def repair(workspace: Workspace, say: Callable[[str], object] = lambda _: None) -> Repaired:
    """Put right what differs from the ledger. Call it holding the lake.

    Args:
        workspace: The lake.
        say: Told of progress.
    """
    break_quiet(workspace.root)
    return _Repair(workspace, say).run()


class _Repair:
    """One repair."""

    def __init__(self, workspace: Workspace, say: Callable[[str], object]) -> None:
        self._workspace = workspace
        self._say = say
        self._result = Repaired()
        self._note = workspace.lake.control / "repair.json"
        self._owed: set[str] = set(json.loads(self._note.read_text())) if self._note.exists() else set()

    def run(self) -> Repaired:
        for table in tables_of(self._workspace):
            self._say(f"looking at {table}")
            self._table(table, verify_table(self._workspace, table).findings)
        self._result.rebuild = bool(self._owed)
        if self._owed:
            self._land_lost_rows()
            if self._owed.intersection(PEOPLE):
                self._restore_people()
            self._workspace.commits.note_change(f"repair {utc_now()}", [], touches_everything=True)
        if not self._result.left:
            self._note.unlink(missing_ok=True)
        return self._result

    def _owe(self, *tables: str) -> None:
        """Remember, over a kill too, that a table has lost what it held."""
        self._owed.update(tables)
        replace_file(self._note, json.dumps(sorted(self._owed)).encode())

    def _table(self, table: str, findings: list[Finding]) -> None:
        self._result.left += [f"{f.line}. Remedy: restore the control database from a backup" for f in findings if f.kind is Kind.LEDGER]
        harm = [f for f in findings if f.kind in _HARM]
        in_checkpoint = [f for f in harm if "checkpoint" in f.path]
        rest = [f for f in harm if f not in in_checkpoint]
        if rest:
            self._mend(table, rest)
        elif in_checkpoint:
            drop_checkpoints(self._workspace.lake, table)
            make_checkpoint(self._workspace.lake, table)
            self._result.done.append(f"{table}: the checkpoint was made anew from the log")

    def _mend(self, table: str, harm: list[Finding]) -> None:
        recorded = self._workspace.commits.latest_version(table)
        harm = self._take_back_unrecorded(table, -1 if recorded is None else recorded, harm)
        if not harm:
            return
        bad = {f.path for f in harm}
        good, needed = self._last_good(table, bad)
        newest = self._workspace.commits.latest_version(table)
        if good == newest:
            self._workspace.upkeep.note_removed(table, bad, cause="repair: damaged, and no present version reads it")
            for name in bad:
                (self._workspace.lake.table(table) / name).unlink(missing_ok=True)
            self._result.done.append(f"{table}: {len(bad)} damaged file(s) of old versions were taken away; nothing reads them")
            return
        if table.startswith("raw/"):
            self._owe(table)
            self._roll_back(table, good, needed)
            self._result.done.append(f"{table}: rolled back from version {newest} to {'before its first' if good < 0 else good}")
            return
        others = [t for t in _SITE_TABLES if t != table] if table in _SITE_TABLES else []
        self._owe(table, *others)
        for one in (table, *others):
            self._roll_back(one, -1, set())
        if table.startswith("reference/athena_"):
            self._result.left.append(f"{table}: was damaged and removed. Remedy: `biodam vocabulary load DIR`, then `biodam run`")
        elif table.startswith("cohort/"):
            self._result.left.append(
                f"{table}: was damaged and removed. Remedy: `biodam cohort rebuild NAME --restore` for each of `biodam cohort list`"
            )
        else:
            self._result.done.append(f"{table}: removed; the next run builds it anew")

    def _take_back_unrecorded(self, table: str, recorded: int, harm: list[Finding]) -> list[Finding]:
        """Commits after the ledger's last, one of them torn: what wrote them is still open and does it again. Returns other findings."""
        kept = [f for f in harm if f.version is None or f.version <= recorded]
        if len(kept) < len(harm):
            roll_back(self._workspace.lake, table, recorded, ())
            if recorded >= 0 and not kept:
                make_checkpoint(self._workspace.lake, table)
            (self._workspace.lake.control / "ended_badly").touch()  # the next run takes their files away
            self._result.done.append(f"{table}: a commit that was cut short was taken back; the next run makes it again")
        return kept

    def _last_good(self, table: str, bad: set[str]) -> tuple[int, set[str]]:
        """Newest version of whole logs that reads no damaged file (-1: none), and every file that versions up to it name."""
        lake, state = self._workspace.lake, LogState()
        good, named, kept = -1, set[str](), set[str]()
        for row in self._workspace.upkeep.commits(table):
            path = log_file(lake, table, row["version"])
            if f"_delta_log/{path.name}" in bad:
                break
            try:
                state.take(row["version"], path.read_bytes())
            except (OSError, ValueError, KeyError, TypeError):
                break
            named.update(f["path"] for f in row["files"])
            if not bad.intersection(state.live):
                good, kept = state.version, set(named)
        return good, kept

    def _roll_back(self, table: str, version: int, kept: set[str]) -> None:
        """Files first, then the ledger: killed in between, the table is still damaged by the ledger, and is repaired again."""
        later = {f["path"] for row in self._workspace.upkeep.commits(table) for f in row["files"]} - kept
        roll_back(self._workspace.lake, table, version, sorted(later))
        self._workspace.upkeep.retire(table, after=version, reason="repair: the table was damaged")
        if version >= 0:
            make_checkpoint(self._workspace.lake, table)

    def _land_lost_rows(self) -> None:
        """Rows that the ledger counts and the tables lack, parsed again: one parse a delivery."""
        lake, versions = self._workspace.lake, self._workspace.commits.latest_versions()
        lost: dict[DeliveryKey, dict[str, dict[str, np.ndarray]]] = {}
        erased = _rows_erased(self._workspace)
        with open_duckdb() as connection:
            for table, deliveries in landed_tables(self._workspace).items():
                held = held_rows(connection, lake, table, versions[table]) if table in versions else {}
                for key, rows in deliveries.items():
                    if held.get((key.site, key.delivery_id), 0) < rows - erased[table][key.site, key.delivery_id]:
                        place = self._places(connection, table, versions.get(table), key)
                        lost.setdefault(key, {})[table] = place
        for key, tables in sorted(lost.items(), key=lambda item: str(item[0])):
            self._say(f"landing again {key}")
            try:
                written = land_lost(self._workspace, key, tables)
            except CannotReplay as error:
                self._result.left.append(str(error))
                continue
            for table, rows in written.items():
                self._result.rows[table] = self._result.rows.get(table, 0) + rows
        self._check_rows(lost)

    def _check_rows(self, lost: dict[DeliveryKey, Any]) -> None:
        """Say what today's rules did not give back."""
        versions = self._workspace.commits.latest_versions()
        touched = {table for tables in lost.values() for table in tables}
        erased = _rows_erased(self._workspace)
        with open_duckdb() as connection:
            for table, deliveries in landed_tables(self._workspace).items():
                if table not in touched:
                    continue
                held = held_rows(connection, self._workspace.lake, table, versions[table]) if table in versions else {}
                for key, landed in deliveries.items():
                    rows = landed - erased[table][key.site, key.delivery_id]
                    if (now := held.get((key.site, key.delivery_id), 0)) < rows and key in lost:
                        self._result.left.append(f"{table}: {rows - now} of {rows} rows of {key} were not given back by today's rules")

    def _places(self, connection: duckdb.DuckDBPyConnection, table: str, version: int | None, key: DeliveryKey) -> dict[str, np.ndarray]:
        """File reference -> numbers of the rows of a delivery that a table still has."""
        if version is None:
            return {}
        source = scan_of(self._workspace.lake, table, version)
        where = f"site = {sql_literal(key.site)} and _delivery_id = {sql_literal(key.delivery_id)}"
        rows = connection.execute(f"select _source_file, list(_row_number) from {source} where {where} group by all").fetchall()
        return {ref: np.array(numbers, np.int64) for ref, numbers in rows}

    def _restore_people(self) -> None:
        """Sightings and merges come from the vault, which keeps which delivery made them."""
        owed = sorted(self._owed.intersection(PEOPLE))
        held: dict[str, dict[tuple[str, str], set[tuple[str, int]]]] = {}
        with open_duckdb() as connection:
            for table in owed:
                held[table] = _people_held(connection, self._workspace.scan(table))
        for key in self._workspace.deliveries.in_state(DeliveryState.LANDED):
            mine = {table: held[table].get((key.site, key.delivery_id), set()) for table in owed}
            restore_people(self._workspace, key, self._labels(key), mine)

    def _labels(self, key: DeliveryKey) -> Iterable[str]:
        numbers = {e["replay"] for e in self._workspace.deliveries.quarantine_history(key) if e["replay"] is not None}
        return [str(key), *(f"{key}~replay{n}" for n in sorted(numbers))]


def _rows_erased(workspace: Workspace) -> dict[str, Counter[tuple[str, str]]]:
    """Raw table -> (site, delivery id) -> rows that erasures took out: they are not lost."""
    return defaultdict(Counter, workspace.erasures.rows())


def _people_held(connection: duckdb.DuckDBPyConnection, source: str | None) -> dict[tuple[str, str], set[tuple[str, int]]]:
    found: dict[tuple[str, str], set[tuple[str, int]]] = {}
    if source is not None:
        query = f"select site, _delivery_id, _source_file, _row_number from {source}"
        for site, name, file, number in connection.execute(query).fetchall():
            found.setdefault((site, name), set()).add((file, number))
    return found
