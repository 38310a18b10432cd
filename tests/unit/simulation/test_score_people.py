"""Patient numbers of truth against a vault: a pair that is joined, one that is missed, and two strangers taken for one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assets.privacy.vault import Identifier, open_vault
from assets.simulation.score_people import score_people


def test_pairs_that_are_joined_missed_and_false_are_told_apart(tmp_path: Path) -> None:
    numbers = {
        "person": [1, 2, 3],
        "h11_number": ["a1", "a2", "a3"],
        "h11_number_2": ["a1b", None, ""],
        "h12_number": ["b1", "b2", "never delivered"],
    }
    pq.write_table(pa.table(numbers), tmp_path / "people.parquet")
    vault = open_vault(tmp_path / "vault.db", tmp_path / "key")
    a1, a3, b1, b2 = (Identifier("local", site, n) for site, n in (("h11", "a1"), ("h11", "a3"), ("h12", "b1"), ("h12", "b2")))
    vault.resolve(site="h11", delivery="d1", groups=[(a1,)], locals_=("a1b", "a2", "a3"))
    vault.resolve(site="h12", delivery="d2", groups=[(b1, a1), (b2, a3)], locals_=())
    lines = {s.what: (s.true, s.found, s.both) for s in score_people(tmp_path, vault)}
    assert lines == {"patient numbers": (7, 6, 6), "pairs of numbers at two sites": (3, 2, 1), "pairs of numbers at one site": (1, 0, 0)}
