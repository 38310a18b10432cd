"""A lake of a few people whose tables are written by the lake's own code, without dbt: people, diagnoses and consent can change from load to load."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.lake import tables
from assets.landing.workspace import Workspace
from assets.ledger.commits import CommitEntry
from assets.serving.catalogue import PublishedModel, publish

DAY = date(2026, 3, 1)
DIABETES = 201826
_PERSON = [("person_id", pa.int64()), ("person_bucket", pa.int32())]
_GRANT = [
    ("legal_basis", pa.string()),
    ("scope_code", pa.string()),
    ("permission_code", pa.string()),
    ("disease_code", pa.string()),
    ("modifier_codes", pa.string()),
]
SCHEMAS = {
    "omop/person": pa.schema([*_PERSON, ("year_of_birth", pa.int32())]),
    "omop/condition_occurrence": pa.schema([*_PERSON, ("condition_concept_id", pa.int64()), ("condition_start_date", pa.date32())]),
    "standard/consent_relation": pa.schema([*_PERSON, *_GRANT]),
    "standard/consent_history": pa.schema(
        [*_PERSON, *_GRANT, ("in_force_from", pa.date32()), ("in_force_to", pa.date32()), ("withdrawn_date", pa.date32())]
    ),
    "standard/consent_withdrawal": pa.schema([*_PERSON, ("scope_code", pa.string()), ("withdrawn_date", pa.date32())]),
    "raw/people/link": pa.schema(
        [("alias_person_id", pa.int64()), *_PERSON, ("_sequence", pa.int64()), ("_landed_at", pa.timestamp("us", tz="UTC"))]
    ),
    "vocabulary/vocabulary": pa.schema([("vocabulary_id", pa.string()), ("vocabulary_version", pa.string())]),
}  # fmt: skip
PUBLISHED = ("omop/person", "omop/condition_occurrence", "vocabulary/vocabulary")


def bucket(person: int) -> int:
    return person % 2


@dataclass
class Someone:
    """One person: year of birth, scopes that are open with their modifiers, days of diagnosis, whether they withdrew."""

    born: int = 1960
    scopes: dict[str, str | None] = field(default_factory=lambda: {"clinical": None})
    diagnoses: list[date] = field(default_factory=list)
    has_withdrawn: bool = False


@dataclass
class Country:
    """The truth, and the lake that is written from it."""

    workspace: Workspace
    people: dict[int, Someone] = field(default_factory=dict)
    links: list[tuple[int, int]] = field(default_factory=list)
    release: str = "v5.0 01-JAN-26"

    def load(self, *keys: str) -> None:
        """Write tables anew from the truth and publish."""
        for key in keys or SCHEMAS:
            self._write(key)
        versions = self.workspace.commits.latest_versions()
        publish(self.workspace.lake, [PublishedModel(k.split("/")[1], k.split("/")[0], versions[k]) for k in PUBLISHED])

    def _write(self, key: str) -> None:
        commits = self.workspace.commits
        rows = pa.Table.from_pylist(sorted(self._rows(key), key=lambda r: r.get("person_bucket", 0)), schema=SCHEMAS[key])
        tables.overwrite(
            self.workspace.lake, key, rows.to_reader(), partition_by=["person_bucket"] if "person_bucket" in SCHEMAS[key].names else [],
            expected_version=commits.latest_version(key),
            record_commit=lambda r: commits.record(CommitEntry(r.table, r.version, r.rows, r.files, r.log_sha256, "build")),
        )  # fmt: skip

    def _rows(self, key: str) -> list[dict[str, Any]]:
        if key == "vocabulary/vocabulary":
            return [{"vocabulary_id": "None", "vocabulary_version": self.release}]
        if key == "raw/people/link":
            return [
                {"alias_person_id": a, "person_id": p, "person_bucket": bucket(p), "_sequence": n} for n, (a, p) in enumerate(self.links)
            ]
        return [{"person_id": i, "person_bucket": bucket(i), **row} for i, one in self.people.items() for row in _of(key, one)]


def _of(key: str, one: Someone) -> list[dict[str, Any]]:
    grants = [
        {"legal_basis": "consented", "scope_code": s, "permission_code": "GRU", "modifier_codes": m, "in_force_from": date(2020, 1, 1), "in_force_to": date(9999, 12, 31)}
        for s, m in one.scopes.items()
    ]  # fmt: skip
    if key == "standard/consent_relation":
        names = set(SCHEMAS[key].names)
        return [{k: v for k, v in g.items() if k in names} for g in grants]
    if key == "standard/consent_history":
        return grants
    if key == "standard/consent_withdrawal":
        return [{"scope_code": "clinical", "withdrawn_date": DAY}] if one.has_withdrawn else []
    if not one.scopes:
        return []  # the models show nobody without consent
    if key == "omop/person":
        return [{"year_of_birth": one.born}]
    return [{"condition_concept_id": DIABETES, "condition_start_date": day} for day in one.diagnoses]


@pytest.fixture
def country(tmp_path: Path) -> Country:
    """Twenty people, the even ones with diabetes; those of 10 and above also granted their genomes."""
    made = Country(Workspace(tmp_path / "lake"))
    for number in range(1, 21):
        scopes: dict[str, str | None] = {"clinical": None, **({"genomic": None} if number >= 10 else {})}
        made.people[number] = Someone(1950 + number, scopes, [date(2024, 1, number)] if number % 2 == 0 else [])
    made.load()
    return made
