"""Golden claims: what lands of each folder below `deliveries/claims_*`, to the won, and what does not and why.

Each case is a delivery as an agency lays it out and `expected.json`, counted by eye.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from assets.contracts.table import load_contract
from assets.landing.door import admit
from assets.landing.land import Landing, land
from assets.landing.workspace import Workspace
from tests.conftest import write_delivery

FOLDER = Path(__file__).parent / "deliveries"
CASES = sorted(p.parent for p in FOLDER.glob("claims_*/*/expected.json"))


def _name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


class Landed:
    """One case landed in a lake of its own."""

    def __init__(self, root: Path, family: str, feed: Mapping[str, Any], deliveries: list[dict[str, bytes]]) -> None:
        sites = root / "sites"
        sites.mkdir(parents=True)
        files = "\n".join(f'"{stem}" = "{entity}"' for stem, entity in feed["files"].items())
        nulls = json.dumps(feed.get("null_values", [""]))
        (sites / "a90.toml").write_text(
            f'site = "a90"\nname = "Agency"\nkind = "agency"\nlegal_basis = "consented"\nowner = "data-team@biodam.invalid"\n'
            f'[feeds.{family}]\nencoding = "{feed["encoding"]}"\nnull_values = {nulls}\ntime_zone = "Asia/Seoul"\n[feeds.{family}.files]\n{files}\n',
            encoding="utf-8",
        )
        self.family = family
        self.workspace = Workspace(root / "lake", sites_folder=sites)
        self.outcomes: list[Landing] = []
        for number, content in enumerate(deliveries, 1):
            folder = write_delivery(root / "lake", "a90", family, f"d{number}", content, sequence=number)
            self.outcomes.append(land(self.workspace, admit(self.workspace, folder)))

    def table(self, entity: str) -> pa.Table:
        """All landed rows of an entity."""
        from deltalake import DeltaTable

        path = self.workspace.lake.root / "tables" / "raw" / self.family / entity
        return DeltaTable(str(path)).to_pyarrow_table() if path.exists() else pa.table({})

    def query(self, entity: str, select: str) -> list[tuple[Any, ...]]:
        """Rows of a query over `t`, the landed rows of an entity."""
        t = self.table(entity)
        assert t.num_rows
        with duckdb.connect() as connection:
            connection.register("t", t)
            return connection.execute(select).fetchall()


def _files(case: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(case.iterdir()) if p.name != "expected.json"}


@pytest.fixture(params=CASES, ids=_name)
def case(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_a_golden_case_lands_as_counted_by_eye(case: Path, tmp_path: Path) -> None:
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    landed = Landed(tmp_path, case.parent.name, expected["feed"], [_files(case)])
    outcome = landed.outcomes[0]
    assert outcome.rows == expected["landed"]
    assert outcome.duplicate == expected["duplicate"]
    assert outcome.delivered == outcome.landed + outcome.quarantined + outcome.duplicate
    found = [[q["ref"], q["row_number"], q["reason"]] for q in landed.workspace.deliveries.quarantined()]
    assert sorted(found, key=str) == sorted(expected["quarantined"], key=str)
    for entity, sums in expected["sums"].items():
        for column, total in sums.items():
            assert landed.query(entity, f"select sum({column}) from t") == [(total,)], (entity, column)
    for entity, people in expected["people"].items():
        assert landed.query(entity, "select count(distinct person_id), count(*) filter (person_bucket is null) from t") == [(people, 0)]
    for entity, rows in expected["rows"].items():
        delivered = [{k: v.isoformat() if isinstance(v, date) else v for k, v in r.items()} for r in landed.table(entity).to_pylist()]
        for row in rows:
            assert any(row.items() <= r.items() for r in delivered), row
    for entity in load_contract(landed.family).entities:  # person keys, statement and grant numbers, names of institutions
        held = {str(v) for row in landed.table(entity).to_pylist() for k, v in row.items() if not k.startswith("_")}
        assert not held & set(expected["never"]), entity


def test_the_order_of_rows_and_the_cut_into_files_do_not_matter(case: Path, tmp_path: Path) -> None:
    """Rows shuffled, each file cut in two: the same rows land, except for where they stood."""
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    family, chance = case.parent.name, random.Random(len(case.name))
    whole = Landed(tmp_path / "whole", family, expected["feed"], [_files(case)])
    pieces: dict[str, bytes] = {}
    for name, content in _files(case).items():
        header, *rows = content.splitlines(keepends=True)
        chance.shuffle(rows)
        cut = chance.randint(0, len(rows))
        stem = name.rsplit(".", 1)[0]
        pieces |= {f"{stem}_1.csv": header + b"".join(rows[:cut]), f"{stem}_2.csv": header + b"".join(rows[cut:])}
    cut_up = Landed(tmp_path / "cut", family, expected["feed"], [pieces])
    assert cut_up.outcomes[0].rows == whole.outcomes[0].rows
    for entity, contract in load_contract(family).entities.items():
        names = [c.name for c in contract.columns if not c.name.endswith("_id")]
        if names and whole.table(entity).num_rows:
            one, two = (sorted(map(repr, x.table(entity).select(names).to_pylist())) for x in (whole, cut_up))
            assert one == two, entity


def test_a_line_follows_its_statement_only_within_one_delivery(tmp_path: Path) -> None:
    """Lines sent a month after their statement belong to nobody there: they are refused, visibly, and the statement stays."""
    case = FOLDER / "claims_nhis" / "sample_cohort_2"
    feed = json.loads((case / "expected.json").read_text(encoding="utf-8"))["feed"]
    files = _files(case)
    lines = {"NSC2_M40_2015.csv": files.pop("NSC2_M40_2015.csv")}
    landed = Landed(tmp_path, "claims_nhis", feed, [files, lines])
    assert landed.outcomes[0].quarantined == 0
    assert (landed.outcomes[1].delivered, landed.outcomes[1].quarantined) == (3, 3)
    assert {q["reason"] for q in landed.workspace.deliveries.quarantined()} == {"missing_parent"}
