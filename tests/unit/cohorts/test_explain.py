"""One person's own question is answered from tables, stamps and audit, with counts and no value of a record."""

from __future__ import annotations

from assets.cohorts.definition import read_definition
from assets.cohorts.freeze import preview, stamp_of, store
from assets.governance.explanation import explain
from assets.ledger.deliveries import DeliveryKey
from assets.ledger.withdrawn import HeldRecord
from tests.unit.cohorts.conftest import DAY, Country, bucket


def test_where_in_which_results_and_who_read_of_merged_ids_too(country: Country) -> None:
    workspace = country.workspace
    stamp = stamp_of(
        workspace,
        "sick",
        read_definition("select person_id from condition_occurrence", ["condition_occurrence"]),
        None,
        day=DAY.isoformat(),
    )
    store(workspace, stamp, preview(workspace, stamp))
    country.links = [(2, 4)]
    country.load("raw/people/link")
    for who, tables in (("kim", ["person"]), ("kim", ["person", "condition_occurrence"]), ("lee", ["vocabulary"])):
        workspace.audit.append("read", who=who, tables=tables, statement_sha256="", rows=1)
    workspace.audit.append("consent.show", who="park", person_id=2)
    workspace.audit.append("consent.show", who="park", person_id=6)
    workspace.set_aside.add(
        [{"person_id": 4, "bucket": 0, "ids": [2, 4], "places": []}], model="person", message="a date", code_version="1"
    )
    workspace.withdrawn.begin_landing(DeliveryKey("h01", "emr_csv", "late"), [HeldRecord(0, 5, 2, "file1"), HeldRecord(0, 6, 6, "file1")])
    found = explain(workspace, 4, bucket(4))
    assert found.held == 1
    assert found.merged_ids == (2,)
    assert {p.table: (p.count, p.is_published) for p in found.places} == {
        "omop/person": (2, True), "omop/condition_occurrence": (2, True), "standard/consent_relation": (2, False), "standard/consent_history": (2, False),
    }  # fmt: skip
    assert [(r["cohort"], r["issue"]) for r in found.results] == [("sick", 1)]
    assert [(r["who"], r["table"], r["statements"]) for r in found.reads] == [("kim", "condition_occurrence", 1), ("kim", "person", 2)]
    assert [(q["who"], q["action"]) for q in found.questions] == [("park", "consent.show")]
    assert found.set_aside == "person: a date"


def test_who_was_split_off_again_is_somebody_else(country: Country) -> None:
    country.links = [(2, 4), (6, 4), (2, 2)]
    country.load("raw/people/link")
    country.workspace.audit.append("identity.split", who="kim", alias=2, person_id=4)
    found = [explain(country.workspace, person, bucket(person)) for person in (4, 2)]
    assert [f.merged_ids for f in found] == [(6,), ()]
    assert [[q["action"] for q in f.questions] for f in found] == [["identity.split"], ["identity.split"]]


def test_somebody_who_is_nowhere_is_nowhere(country: Country) -> None:
    found = explain(country.workspace, 7777, 0)
    assert (found.places, found.results, found.reads, found.questions, found.set_aside) == ((), (), (), (), "")
