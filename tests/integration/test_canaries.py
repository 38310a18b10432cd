"""Planted identifiers in every feed, where they belong and where they do not: none is found outside of the vault and the store of delivered bytes.

`inbox/` and `landing/` hold what was delivered, byte for byte; they and `vault/` are the only folders of a lake that hold identifiers.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets.landing.door import admit, closed_folders
from assets.landing.land import land
from assets.landing.workspace import Workspace
from assets.ledger.schema import DeliveryState
from assets.sites.feed_kinds import FEED_KINDS
from tests.canaries.needles import KINDS, Flock
from tests.canaries.plant import deliver, planted_wires, wires_of_feeds
from tests.canaries.scan import Hit, Scanner, scan_folder, ways_to_write
from tests.conftest import Biodam

MAY_HOLD_IDENTIFIERS = ("vault", "landing", "inbox")


@dataclass(frozen=True)
class Planted:
    """A lake full of canaries."""

    lake: Path
    flock: Flock
    workspace: Workspace


def _inbox(folder: Path, flock: Flock) -> tuple[Path, Path]:
    """A lake with planted deliveries in its inbox, and the folder of their site files."""
    lake, sites = folder / "lake", folder / "sites"
    lake.mkdir()
    sites.mkdir()
    (folder / "work").mkdir()
    for site, text in deliver(lake, folder / "work", flock).items():
        (sites / f"{site}.toml").write_text(text, encoding="utf-8")
    return lake, sites


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Every feed, landed."""
    flock = Flock(7, every=6)
    lake, sites = _inbox(tmp_path_factory.mktemp("canaries"), flock)
    workspace = Workspace(lake, sites_folder=sites)
    for folder in list(closed_folders(workspace.lake.inbox)):
        admit(workspace, folder)
    for key in workspace.deliveries.in_state(DeliveryState.ACCEPTED):
        land(workspace, key)
    return Planted(lake, flock, workspace)


def _told(flock: Flock, hits: set[Hit]) -> str:
    """Where leaks are, by the place the canary was planted in."""
    needles = flock.needles()
    lines = {f"{needles[h.needle].kind}, planted as {needles[h.needle].place}: {h.written} in {h.where}" for h in hits}
    return "\n".join(sorted(lines)[:40])


def test_every_feed_and_every_wire_format_has_canaries(planted: Planted) -> None:
    """A new feed or format without canaries fails here."""
    landed = {row["feed"] for row in planted.workspace.deliveries.all_rows() if row["state"] == DeliveryState.LANDED and row["landed"]}
    assert landed >= set(FEED_KINDS), "a feed lands no planted record"
    assert planted_wires() >= wires_of_feeds(), "a wire format that nothing plants canaries in"
    assert {c.kind for c in planted.flock.canaries} == set(KINDS)
    assert len(planted.flock.canaries) > 3000


def test_every_planted_record_is_accounted_for(planted: Planted) -> None:
    for row in planted.workspace.deliveries.all_rows():
        assert row["delivered"] == row["landed"] + row["quarantined"] + row["duplicate"], row
        assert row["state"] in (DeliveryState.LANDED, DeliveryState.REFUSED), row


def test_no_canary_is_found_outside_of_the_vault_and_the_delivered_bytes(planted: Planted) -> None:
    """Raw tables decoded, Delta logs, ledger with quarantine and headers, names of files."""
    hits = set(scan_folder(Scanner(planted.flock.needles()), planted.lake, without=MAY_HOLD_IDENTIFIERS))
    assert not hits, _told(planted.flock, hits)


def test_the_vault_holds_none_in_clear(planted: Planted) -> None:
    hits = set(scan_folder(Scanner(planted.flock.needles()), planted.lake / "vault"))
    assert not hits, _told(planted.flock, hits)


def test_what_did_not_pass_is_counted_by_column(planted: Planted) -> None:
    found = Counter(row["feed"] for row in planted.workspace.withheld())
    assert found.keys() >= {"emr_csv", "omop", "fhir_r4", "hl7_v2", "claims_nhis", "lims"}


def test_the_search_finds_them_in_what_was_delivered(planted: Planted) -> None:
    """The search is not blind: of the canaries in delivered bytes it finds those of text files, in their encodings."""
    needles = planted.flock.needles()
    found = {needles[h.needle].text for h in scan_folder(Scanner(needles), planted.lake / "landing")}
    assert len(found) > 0.7 * len({c.text for c in planted.flock.canaries})


@pytest.mark.parametrize("needle", ["똠방걟", "800101-1234567"])
def test_the_search_finds_every_way_to_write(needle: str) -> None:
    scanner = Scanner([needle, "010-1234-5678"])
    for written, pattern in ways_to_write(needle):
        assert [h.needle for h in scanner.find(b"aa" + pattern + b"zz", "x")] == [needle], written


def test_the_search_reads_databases_packed_blobs_and_nested_columns(tmp_path: Path) -> None:
    import gzip
    import sqlite3
    import zlib

    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    needle, number = "똠방걟", "01012345678"
    pq.write_table(pa.table({"a": [[{"b": f"x{needle}"}]], "n": [1012345678]}), tmp_path / "a.parquet", compression="zstd")
    with duckdb.connect(str(tmp_path / "b.duckdb")) as database:
        database.execute(f"create table t as select '{needle}' as a; create view v as select 1 as {needle}")
    with sqlite3.connect(tmp_path / "c.db") as ledger:
        ledger.execute("create table t (a blob)")
        ledger.execute("insert into t values (?)", (zlib.compress(needle.encode() * 3),))
    (tmp_path / "d.gz").write_bytes(gzip.compress(needle.encode("cp949")))
    (tmp_path / f"e{needle}").write_bytes(b"")
    hits = set(scan_folder(Scanner([needle, number]), tmp_path))
    assert {h.where.split()[0].removesuffix(needle) for h in hits if h.needle == needle} >= {
        "a.parquet",
        "b.duckdb",
        "c.db",
        "d.gz",
        "name",
    }
    assert {h.where for h in hits if h.needle == number} == {"a.parquet column n"}


@pytest.mark.slow
def test_ten_thousand_canaries_leave_no_trace_in_tables_logs_pages_and_messages(tmp_path: Path) -> None:
    """The commands a data team uses, with Dagster and dbt, and what they print."""
    flock = Flock(11)
    lake, sites = _inbox(tmp_path, flock)
    assert len(flock.canaries) > 10_000
    biodam = Biodam(lake, {"BIODAM_SITES": str(sites), "BIODAM_AS_OF": "2026-06-30"})
    printed: list[subprocess.CompletedProcess[str]] = [
        biodam("run", check=False), biodam("run", "--full", check=False), biodam("status", check=False), biodam("status", "--json", check=False),
        biodam("quarantine", "list", check=False), biodam("quarantine", "replay", check=False), biodam("audit", "list", check=False), biodam("verify", check=False),
        biodam("sql", "from person", check=False), biodam("sql", "select cast(source_code as int) from unmapped_codes", check=False), biodam("doctor", check=False),
    ]  # fmt: skip
    said = "\n".join(p.stdout + p.stderr for p in printed)
    (lake / "control" / "printed.txt").write_text(said, encoding="utf-8")
    hits = set(scan_folder(Scanner(flock.needles()), lake, without=MAY_HOLD_IDENTIFIERS))
    assert not hits, _told(flock, hits)
    assert biodam.one("select count(*) from person") > 0
    assert "landed" in printed[2].stdout
