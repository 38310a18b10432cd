"""A frozen cohort can be made again to the last row, knows by itself that it is stale, and is reissued without those who left."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from assets.cohorts.definition import DefinitionError, read_definition
from assets.cohorts.evaluate import EvaluationError, Members, VersionsGone
from assets.cohorts.freeze import MEMBER, CohortError, find, preview, restore, retire, stamp_of, store, stored
from assets.cohorts.reissue import next_issue, rebuild
from assets.cohorts.stale import staleness
from assets.governance.data_request import as_json, from_json
from assets.governance.data_use import DataRequest
from assets.ledger.commits import Commits
from assets.ledger.stamps import Stamp
from assets.run_lock import hold_lake
from assets.upkeep.repair import repair
from assets.upkeep.scrub import Kind
from assets.upkeep.vacuum import sweep_after_kill, vacuum
from assets.upkeep.verify import verify
from tests.unit.cohorts.conftest import DAY, DIABETES, Country, Someone

DIABETICS = f"""
    -- who has the disease, and since when
    SELECT p.person_id, MIN(condition_start_date) AS cohort_start_date
    FROM person AS p JOIN condition_occurrence AS c USING (person_id)
    WHERE condition_concept_id = {DIABETES} GROUP BY 1
"""
NAMES = ("person", "condition_occurrence", "vocabulary")
LATER = datetime.now(UTC) + timedelta(days=1)


def freeze(country: Country, sql: str = DIABETICS, request: dict[str, Any] | None = None, name: str = "diabetes") -> Stamp:
    stamp = stamp_of(country.workspace, name, read_definition(sql, NAMES), request, day=DAY.isoformat())
    return store(country.workspace, stamp, preview(country.workspace, stamp))


def people(members: Members) -> set[int]:
    return {row[0] for row in members.rows}


def reissue(country: Country, stamp: Stamp) -> tuple[Stamp, dict[str, Any]]:
    new, members, statement = next_issue(country.workspace, stamp, day=DAY.isoformat())
    return store(country.workspace, new, members, statement=statement), statement


def test_frozen_rows_are_the_definitions_and_the_stamp_says_of_what_they_were_made(country: Country) -> None:
    stamp = freeze(country)
    assert people(stored(country.workspace, stamp)) == set(range(2, 21, 2))
    assert (stamp.issue, stamp.people, stamp.vocabulary_release) == (1, 10, "v5.0 01-JAN-26")
    assert {"omop/person", "omop/condition_occurrence", "standard/consent_relation"} <= set(stamp.versions)
    assert not staleness(country.workspace, [stamp], exact=True)[0].is_stale
    assert verify(country.workspace).whole
    assert freeze(country).issue == 2


def test_definitions_that_differ_in_form_only_are_one() -> None:
    other = f"select P.person_id, min(CONDITION_START_DATE) as cohort_start_date from Person p join condition_occurrence c using(person_id) /* x */ where condition_concept_id={DIABETES} group by 1"
    assert read_definition(DIABETICS, NAMES).sha256 == read_definition(other, NAMES).sha256
    assert read_definition(DIABETICS, NAMES).sha256 != read_definition(DIABETICS.replace("MIN", "MAX"), NAMES).sha256


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select person_id from person where year_of_birth < year(current_date)", "uses CURRENT_DATE"),
        ("select person_id from person where today() > date '2020-01-01'", "would not give the same people again"),
        ("select person_id from person where random() < 0.5", "uses RANDOM()"),
        ("select person_id from person using sample 10", "uses a sample"),
        ("select person_id from person order by 1 limit 5", "uses limit"),
        ("select person_id from people", "people is no published table"),
        ("select person_id from standard.consent_relation", "standard.consent_relation is no published table"),
        ("select person_id from read_parquet('x')", "reads from a function"),
        ("select person_id from 'x.parquet'", "is no published table"),
        ("select 1 as person_id", "names no published table"),
        ("select person_id from person; select 1", "is not one query"),
        ("drop table person", "is not one query"),
        ("selec person_id", "Remedy"),
    ],
)  # fmt: skip
def test_a_definition_that_is_not_the_same_tomorrow_or_reads_elsewhere_is_refused(sql: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=r"Remedy|names no published") as caught:
        read_definition(sql, NAMES)
    assert said in str(caught.value)


def test_a_definition_without_people_or_with_an_unknown_column_says_so_and_takes_no_number(country: Country) -> None:
    for sql, said in (
        ("select year_of_birth from person", "no column person_id"),
        ("select person_id from person where height > 1", "height"),
    ):
        with pytest.raises(EvaluationError, match=said):
            freeze(country, sql)
    with pytest.raises(CohortError, match="Frozen: none yet"):
        find(country.workspace, "diabetes")


def test_a_kill_between_rows_and_stamp_burns_the_number(country: Country, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.ledger.stamps.Stamps.freeze", lambda *_a, **_k: (_ for _ in ()).throw(RuntimeError("killed")))
    with pytest.raises(RuntimeError, match="killed"):
        freeze(country)
    monkeypatch.undo()
    stamp = freeze(country)
    assert stamp.issue == 2
    assert stored(country.workspace, stamp).people == stamp.people == 10


def test_rows_that_a_damaged_table_lost_are_put_back(country: Country) -> None:
    stamp, other = freeze(country), freeze(country, "select person_id from person", name="everybody")
    next(country.workspace.lake.table(MEMBER).rglob("*.parquet")).write_bytes(b"rot")
    repaired = repair(country.workspace)
    assert any("biodam cohort rebuild NAME --restore" in line for line in repaired.left)
    for one in (stamp, other):
        restore(country.workspace, one, rebuild(country.workspace, one).members)
    assert [stored(country.workspace, s).sha256 for s in (stamp, other)] == [stamp.rows_sha256, other.rows_sha256]
    with pytest.raises(CohortError, match="is not put back"):
        restore(country.workspace, stamp, Members(()))


def test_a_freezing_killed_before_the_ledger_knew_it_is_recorded_by_the_next_run(country: Country, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze(country)
    with monkeypatch.context() as patched:
        patched.setattr(Commits, "record", _dies)
        with pytest.raises(KeyboardInterrupt), hold_lake(country.workspace.root, purpose="test"):
            freeze(country)
    assert [f.kind for f in verify(country.workspace).findings] == [Kind.UNRECORDED]
    sweep_after_kill(country.workspace)
    assert verify(country.workspace).whole
    assert [row["cause"] for row in country.workspace.commits.rows(MEMBER)] == ["cohort diabetes issue 1", "cohort diabetes issue 2"]
    assert freeze(country).issue == 3
    assert [s.issue for s in country.workspace.stamps.all()] == [1, 3], "the killed one was never frozen"


def _dies(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_definition_that_is_no_sql_is_told_by_its_place() -> None:
    with pytest.raises(DefinitionError, match=r"^the definition is no SQL at line 2, column \d+\. Remedy"):
        read_definition("select person_id\nfrom where", NAMES)


def test_each_thing_it_was_made_of_makes_it_stale_and_nothing_else_does(country: Country) -> None:
    stamp = freeze(country)
    country.load("vocabulary/vocabulary")
    assert staleness(country.workspace, [stamp])[0].reasons == (), "another version of a table it does not name"
    country.load("omop/person")
    [judged] = staleness(country.workspace, [stamp], exact=True)
    assert judged.reasons == ("omop/person: version 1, not 0",)
    assert judged.differs is False, "written anew with the same rows"
    country.people[2].diagnoses = []
    country.release = "v5.0 01-JUL-26"
    country.load("omop/condition_occurrence", "standard/consent_relation", "vocabulary/vocabulary")
    [judged] = staleness(country.workspace, [stamp], exact=True)
    assert [r.split(":")[0] for r in judged.reasons] == [
        "omop/condition_occurrence", "omop/person", "standard/consent_relation", "vocabularies are of release v5.0 01-JUL-26, not v5.0 01-JAN-26",
    ]  # fmt: skip
    assert judged.differs is True
    assert rebuild(country.workspace, stamp).is_same


def test_a_reissue_leaves_out_who_left_says_why_and_takes_nobody_in(country: Country) -> None:
    stamp = freeze(country)
    for number in (2, 4, 6, 8, 10):
        country.people[number].scopes, country.people[number].has_withdrawn = {}, True
    country.people[12].scopes = {"clinical": None}  # the consent for genomes ended
    country.people[3].diagnoses = [date(2025, 1, 1)]
    country.load()
    new, statement = reissue(country, stamp)
    assert people(stored(country.workspace, new)) == {14, 16, 18, 20}
    assert statement["left"] == {"withdrew": "5", "consent ended": "<5"}
    assert (statement["people_before"], statement["people_after"], statement["joined"]) == ("10", "about 0", "0")
    assert people(stored(country.workspace, stamp)) == set(range(2, 21, 2)), "the old issue stands until it is retired"
    for one in (stamp, new):
        assert rebuild(country.workspace, one).is_same
    country.people[14].scopes = {}
    country.load()
    assert staleness(country.workspace, [new], exact=True)[0].differs is True
    third, _ = reissue(country, new)
    assert people(stored(country.workspace, third)) == {16, 18, 20}
    assert rebuild(country.workspace, third).is_same, "a rest of a rest"


def test_no_sum_of_a_statement_gives_a_withheld_count_away(country: Country) -> None:
    country.people |= {n: Someone(1990, diagnoses=[date(2024, 2, 2)]) for n in range(100, 140)}
    country.load()
    stamp = freeze(country)
    for number in range(100, 112):
        country.people[number].scopes, country.people[number].has_withdrawn = {}, number < 110
    country.load()
    _, _, statement = next_issue(country.workspace, stamp, day=DAY.isoformat())
    assert statement["left"] == {"withdrew": "10", "consent ended": "<5"}
    assert statement["people_after"] == "about 35", "50 - 12 = 38 would tell that two people's consent ended"
    assert statement["left_in_all"] == "about 10"


def test_merged_people_are_one_member_and_an_erased_one_is_counted_and_not_named(country: Country) -> None:
    stamp = freeze(country)
    country.links = [(2, 4), (6, 1)]  # 2 is 4, both are members; 6 is 1, who is none
    for gone in (2, 6, 20):
        del country.people[gone]
    country.load()
    erase(country, 20)
    new, statement = reissue(country, stamp)
    assert people(stored(country.workspace, new)) == {1, 4, 8, 10, 12, 14, 16, 18}
    assert statement["left"] == {"erased": "<5", "merged with another member": "<5"}
    assert "20" not in str(statement["left"])


def erase(country: Country, person: int) -> None:
    """What an erasure does with this table, as with every table of people: it is written again without the person."""
    from assets.cohorts.evaluate import SCHEMA
    from assets.cohorts.freeze import MEMBER, member_table
    from assets.lake.tables import overwrite
    from assets.ledger.commits import CommitEntry

    commits = country.workspace.commits
    with member_table(country.workspace) as connection:
        rest = connection.execute("select * from member where person_id <> ? order by person_bucket", [person]).to_arrow_table()
    overwrite(
        country.workspace.lake, MEMBER, rest.select(SCHEMA.names).cast(SCHEMA).to_reader(), partition_by=["person_bucket"], expected_version=commits.latest_version(MEMBER),
        record_commit=lambda r: commits.record(CommitEntry(r.table, r.version, r.rows, r.files, r.log_sha256, "erasure")),
    )  # fmt: skip


def test_a_request_keeps_out_whose_consent_does_not_permit_it_then_and_now(country: Country) -> None:
    country.people[14].scopes = {"clinical": None, "genomic": "NPU"}
    country.load()
    asked = DataRequest("P-1", ("biomedical",), ("clinical", "genomic"), "for_profit", DAY, ends=date(2027, 1, 1))
    assert from_json(as_json(asked)) == asked
    stamp = freeze(country, request=as_json(asked))
    assert people(stored(country.workspace, stamp)) == {10, 12, 16, 18, 20}, "14 excludes companies, those below 10 granted no genome"
    country.people[16].scopes = {"clinical": None, "genomic": "NPU"}
    country.load()
    new, _ = reissue(country, stamp)
    assert people(stored(country.workspace, new)) == {10, 12, 18, 20}
    assert rebuild(country.workspace, stamp).is_same


def test_vacuum_keeps_versions_of_stamps_until_they_are_let_go(country: Country) -> None:
    kept, retired = freeze(country), freeze(country, name="other")
    country.people[2].diagnoses = []
    country.load()
    vacuum(country.workspace, retention=timedelta(0), now=LATER)
    assert rebuild(country.workspace, kept).is_same
    retire(country.workspace, retired)
    assert not [s for s in country.workspace.stamps.all() if s.cohort == "other"]
    vacuum(country.workspace, retention=timedelta(0), now=LATER)
    assert rebuild(country.workspace, kept).is_same
    assert country.workspace.stamps.let_go("erasure E-1") == 1
    assert vacuum(country.workspace, retention=timedelta(0), now=LATER).files
    with pytest.raises(VersionsGone, match=r"omop/.* its files were taken away \(erasure E-1\).*Remedy: biodam cohort reissue diabetes"):
        rebuild(country.workspace, kept)
    assert people(stored(country.workspace, kept)) == set(range(2, 21, 2)), "its rows stand"
    assert verify(country.workspace).whole


@pytest.mark.parametrize(("seed", "loads"), [(1, 20), *(pytest.param(n, 50, marks=pytest.mark.slow) for n in range(2, 6))])
def test_after_random_loads_every_stamp_is_made_again_to_the_same_hash(country: Country, seed: int, loads: int) -> None:
    """People come, fall ill, withdraw and come back; cohorts are frozen and reissued; vacuum runs in between."""
    rng = random.Random(seed)
    made: list[Stamp] = []
    for step in range(loads):
        touched = _random_change(rng, country, 1000 * seed + step)
        country.load(*touched)
        if rng.random() < 0.3:
            stamp = freeze(
                country, rng.choice([DIABETICS, "select person_id from person where year_of_birth < 1962"]), name=rng.choice("ab")
            )
            made.append(stamp)
        elif made and rng.random() < 0.3:
            made.append(reissue(country, rng.choice(made))[0])
        if rng.random() < 0.2:
            vacuum(country.workspace, retention=timedelta(0), now=LATER)
    assert len(made) > loads / 5
    assert len({s.rows_sha256 for s in made}) > 3, "the loads changed nothing"
    assert [s.name for s in made if not rebuild(country.workspace, s).is_same] == []


def _random_change(rng: random.Random, country: Country, number: int) -> set[str]:
    kind = rng.choice(["come", "fall ill", "withdraw", "return"])
    who = country.people[rng.choice(sorted(country.people))]
    if kind == "come":
        country.people[number] = Someone(rng.randint(1940, 2000), diagnoses=[date(2025, 1, 1)] * rng.randint(0, 1))
    elif kind == "fall ill":
        who.diagnoses.append(date(2025, rng.randint(1, 12), 1))
        return {"omop/condition_occurrence"}
    else:
        who.scopes, who.has_withdrawn = ({}, True) if kind == "withdraw" else ({"clinical": None}, False)
    return {
        "omop/person",
        "omop/condition_occurrence",
        "standard/consent_relation",
        "standard/consent_history",
        "standard/consent_withdrawal",
    }
