"""A whole lake takes random loads, compaction and vacuum in between; every cohort that was frozen on the way is made again to the same hash.

`STAMP_LOADS` sets how many loads (default 50), `STAMP_SEED` which. The same on small tables, in seconds: `tests/unit/cohorts/test_stamps.py`.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Biodam, write_delivery
from tests.integration.test_incremental import _consents, _diagnoses, _labs, _patients, _sites

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * 3600)]
LOADS = int(os.environ.get("STAMP_LOADS", "50"))
SEED = int(os.environ.get("STAMP_SEED", "1"))
YOUNG = "select person_id from person inner join measurement using (person_id) where value_as_number > 7"


@dataclass
class Sender:
    """A hospital and a consent service that send one delivery after the other, drawn at random."""

    lake: Path
    draw: random.Random
    people: int = 40
    sent: int = 0
    kinds: set[str] = field(default_factory=set)

    def first(self) -> None:
        """Everybody, and what they agree to."""
        everybody = range(1, self.people + 1)
        self._emr({"patient.csv": _patients(everybody), "diagnosis.csv": _diagnoses(everybody), "lab_result.csv": _labs(everybody, 8.1)})
        self._consent(_consents(everybody))

    def next(self) -> None:
        """New people, new or corrected results, a deletion, a withdrawal or a return."""
        kind = self.draw.choice(["come", "measure", "correct", "delete", "withdraw", "return"])
        self.kinds.add(kind)
        who = self.draw.randint(1, self.people)
        some = range(who, min(who + 4, self.people + 1))
        day = f"2022-{1 + self.sent // 28 % 12:02}-{1 + self.sent % 28:02}"
        if kind == "come":
            fresh = range(self.people + 1, self.people + 4)
            self.people += 3
            self._emr({"patient.csv": _patients(fresh), "diagnosis.csv": _diagnoses(fresh, "E11.2")})
            self._consent(_consents(fresh, mark=f"g{self.sent}-"))
        elif kind == "measure":
            self._emr({"lab_result.csv": _labs(some, self.draw.choice([5.9, 7.4, 9.0]), mark=f"M{self.sent}-")})
        elif kind == "correct":
            self._emr({"lab_result.csv": _labs(some, self.draw.choice([6.1, 8.8]))})
        elif kind == "delete":
            self._emr({"diagnosis.csv": _diagnoses(some, deleted=frozenset(some))})
        else:
            event = "withdraw" if kind == "withdraw" else "grant"
            self._consent(_consents(range(who, who + 1), event, day=day, mark=f"{event[0]}{self.sent}-"))

    def _emr(self, files: dict[str, bytes | str]) -> None:
        self.sent += 1
        write_delivery(self.lake, "h90", "emr_csv", f"e{self.sent}", files, sequence=self.sent)

    def _consent(self, text: str) -> None:
        self.sent += 1
        write_delivery(self.lake, "c90", "consent", f"k{self.sent}", {"event.csv": text}, sequence=self.sent)


def test_every_stamp_of_a_lake_is_made_again_after_random_loads(tmp_path: Path) -> None:
    biodam = Biodam(tmp_path / "lake", {"BIODAM_SITES": str(_sites(tmp_path / "sites")), "BIODAM_AS_OF": "2024-01-01"})
    query = tmp_path / "young.sql"
    query.write_text(YOUNG)
    definitions = {"diabetes": ("--table", "cohort_type2_diabetes"), "measured": ("--sql", str(query))}
    draw = random.Random(SEED)
    sender = Sender(biodam.lake, draw)
    sender.first()
    biodam("run")
    frozen: set[str] = set()
    for _ in range(LOADS):
        sender.next()
        biodam("run")
        act = draw.random()
        name = draw.choice(sorted(definitions))
        if act < 0.3 or name not in frozen:
            biodam("cohort", "freeze", name, *definitions[name])
            frozen.add(name)
        elif act < 0.5:
            biodam("cohort", "reissue", name, check=False)  # 1 where nobody left: nothing to issue
        if draw.random() < 0.2:
            biodam("compact")
        if draw.random() < 0.2:
            biodam("vacuum", "--retention-days", "0")
    made = json.loads(biodam("cohort", "list", "--json").stdout)
    assert len(made) > LOADS / 5
    assert len({one["rows_sha256"] for one in made}) > LOADS / 10, "the loads changed nothing"
    assert len(sender.kinds) == 6 or LOADS < 20
    for one in made:
        told = biodam("cohort", "rebuild", one["cohort"], "--issue", str(one["issue"]), check=False)
        assert told.returncode == 0, (one["cohort"], one["issue"], told.stdout, told.stderr)
    assert biodam.status()["conserved"]
    biodam("verify", "--deep")
