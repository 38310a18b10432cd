"""What a project is handed holds no person_id, and two projects' files of the same people do not join."""

from __future__ import annotations

import hashlib
import hmac
import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.cohorts.export import SCHEMA, make_export, write_export
from assets.cohorts.freeze import CohortError
from assets.ledger.stamps import Stamp
from assets.privacy.keys import VaultKey, new_secret
from assets.privacy.pseudonyms import ProjectPseudonyms
from tests.unit.cohorts.conftest import DAY, Country
from tests.unit.cohorts.test_stamps import freeze, reissue

PEOPLE = 1000


def _export(country: Country, stamp: Stamp, project: str) -> pa.Table:
    return pq.read_table(io.BytesIO(make_export(country.workspace, stamp, project, day=DAY.isoformat()).content))


def test_a_file_holds_pseudonyms_and_dates_and_no_person_id(country: Country) -> None:
    stamp = freeze(country)
    made = make_export(country.workspace, stamp, "p1", day=DAY.isoformat())
    write_export(made)
    assert made.path == country.workspace.lake.exports / "p1" / "diabetes-1.parquet"
    table = pq.read_table(made.path)
    assert table.schema.equals(SCHEMA, check_metadata=False)
    assert (table.num_rows, made.people) == (10, 10)
    assert all(len(s) == 32 for s in table["subject_id"].to_pylist())
    assert table["subject_id"].to_pylist() == sorted(table["subject_id"].to_pylist()), "in the order of pseudonyms"
    assert sorted(d.day for d in table["cohort_start_date"].to_pylist()) == list(range(2, 21, 2))
    assert make_export(country.workspace, stamp, "p1", day=DAY.isoformat()).content == made.content, "the same bytes each time"


def test_two_projects_share_no_pseudonym_and_one_project_knows_its_people_again(country: Country) -> None:
    stamp = freeze(country)
    first, second = (set(_export(country, stamp, project)["subject_id"].to_pylist()) for project in ("p1", "p2"))
    assert not first & second
    assert set(_export(country, freeze(country), "p1")["subject_id"].to_pylist()) == first


def test_pseudonyms_of_two_projects_join_at_chance_for_whoever_has_no_key() -> None:
    """Of a thousand people, joining by equality, by any part, by place in the file or by a guessed key finds nobody; by place, about one by chance."""
    key = VaultKey(new_secret())
    people = np.random.default_rng(5).integers(0, 2**63 - 1, PEOPLE).tolist()
    first, second = (ProjectPseudonyms(key, project).column(pa.array(people)).to_pylist() for project in ("p1", "p2"))
    assert not set(first) & set(second)
    for part in (slice(0, 12), slice(12, 24), slice(20, 32)):
        assert not {s[part] for s in first} & {s[part] for s in second}
    by_place = dict(zip(sorted(first), sorted(second), strict=True))
    assert sum(by_place[a] == b for a, b in zip(first, second, strict=True)) < 15
    distances = {int(a, 16) ^ int(b, 16) for a, b in zip(first, second, strict=True)}
    assert len(distances) == PEOPLE, "no one mask turns the one into the other"
    assert not set(first) & set(_guessed(people)), "whoever holds the lake has the person_ids too"


def _guessed(people: list[int]) -> list[str]:
    keys = (b"", b"p1", b"project/p1", b"biodam", b"biodam/1/project/p1", bytes(32))
    texts = [t for p in people for t in (p.to_bytes(8, "big"), p.to_bytes(8, "little"), str(p).encode())]
    return [
        d[:16].hex()
        for t in texts
        for d in (hashlib.sha256(t).digest(), hashlib.md5(t).digest(), *(hmac.digest(k, t, "sha256") for k in keys))
    ]


def test_nobody_is_handed_over_who_has_left_since(country: Country) -> None:
    stamp = freeze(country)
    country.people[4].scopes, country.people[4].has_withdrawn = {}, True
    country.load()
    with pytest.raises(CohortError, match="biodam cohort reissue diabetes"):
        make_export(country.workspace, stamp, "p1", day=DAY.isoformat())
    rest, _ = reissue(country, stamp)
    assert _export(country, rest, "p1").num_rows == 9


def test_a_cohort_frozen_for_one_projects_request_goes_to_no_other(country: Country) -> None:
    stamp = freeze(country)
    with pytest.raises(CohortError, match="frozen for the request of project p1"):
        make_export(country.workspace, replace(stamp, request={"project": "p1"}), "p2", day=DAY.isoformat())


@pytest.mark.parametrize("name", ["", "../p1", "a/b", "프로젝트", "x" * 61])
def test_a_project_that_is_no_name_of_a_folder_is_refused(country: Country, name: str) -> None:
    with pytest.raises(CohortError, match="a project is named by"):
        make_export(country.workspace, freeze(country), name, day=DAY.isoformat())
