"""Late data of people who have withdrawn: held record by record, counted, and landed once they consent again.

Three people at a hospital that asks for consent; P1 has withdrawn. Who has withdrawn is written by hand here; tests/integration/test_late_data.py lets
the consent models say so.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from assets.erasure import steps
from assets.erasure.late import late_records
from assets.governance.accounts import add_up
from assets.lake import tables
from assets.landing import door
from assets.landing.again import replay
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import Deliveries, DeliveryKey
from assets.upkeep.repair import repair
from assets.upkeep.verify import verify
from assets.withdrawals import finish_replays, land_released
from tests.conftest import CONSENT_HEADER, CONSENT_SITE, land_all, write_delivery

SITE = """site = "{name}"
name = "Test"
kind = "hospital"
legal_basis = "{basis}"
owner = "data-team@biodam.invalid"
[feeds.fhir_r4]
[feeds.hl7_v2]
time_zone = "Asia/Seoul"
assigning_authority = "H90"
[feeds.lims]
time_zone = "Asia/Seoul"
[feeds.claims_hira]
time_zone = "Asia/Seoul"
"""
FHIR = ("h90", "fhir_r4")


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    folder = tmp_path / "sites"
    folder.mkdir()
    for name, basis in (("h90", "consented"), ("h91", "published")):
        (folder / f"{name}.toml").write_text(SITE.format(name=name, basis=basis), encoding="utf-8")
    (folder / "c90.toml").write_text(CONSENT_SITE, encoding="utf-8")
    return folder


Open = Callable[[Path], Workspace]


@pytest.fixture
def opened(sites: Path) -> Open:
    return lambda lake: Workspace(lake, sites_folder=sites)


def patients(numbers: Iterable[int]) -> str:
    return "".join(
        f'{{"resourceType":"Patient","id":"P{n}","birthDate":"1970-01-0{n}","name":[{{"text":"김환자{n}"}}],'
        f'"identifier":[{{"system":"urn:x:resident","value":"70010{n}-123456{n}"}}]}}\n'
        for n in numbers
    )


def conditions(numbers: Iterable[int], *, mark: str = "c", day: str = "2020-01-01") -> str:
    return "".join(
        f'{{"resourceType":"Condition","id":"{mark}{n}","subject":{{"reference":"Patient/P{n}"}},"recordedDate":"{day}"}}\n'
        for n in numbers
    )


def person(workspace: Workspace, number: int, site: str = "h90") -> tuple[int, int]:
    found = workspace.vault.find(site, f"P{number}")
    assert found is not None
    return found.person_id, found.bucket


def withdraw(workspace: Workspace, *numbers: int) -> None:
    """All who have withdrawn, as a build would write them."""
    gone = [person(workspace, n) for n in numbers]
    workspace.withdrawn.replace([{"person_id": p, "person_bucket": b, "since": "2026-01-01"} for p, b in gone], buckets=None)


def rows(workspace: Workspace) -> dict[str, list[str]]:
    """Raw table -> its rows but for when they landed, in an order."""
    found = {}
    for log in sorted((workspace.root / "tables" / "raw").glob("*/*/_delta_log")):
        table = DeltaTable(str(log.parent)).to_pyarrow_table().drop_columns(["_landed_at"])
        found["/".join(log.parts[-3:-1])] = sorted(repr(sorted(row.items())) for row in table.to_pylist())
    return {table: found_rows for table, found_rows in found.items() if found_rows}


def people_in(workspace: Workspace, table: str) -> Counter[int]:
    return Counter(DeltaTable(str(workspace.lake.table(f"raw/{table}"))).to_pyarrow_table()["person_id"].to_pylist())


def counts(workspace: Workspace, site: str, feed: str, delivery: str) -> tuple[int, int, int, int]:
    row = workspace.deliveries.get(DeliveryKey(site, feed, delivery)) or {}
    assert add_up(workspace, day=date(2026, 1, 1)).conserved, "a record is unaccounted for"
    assert verify(workspace, deep=True).findings == []
    return row["delivered"], row["landed"], row["quarantined"], row["duplicate"]


@pytest.fixture
def before(tmp_path: Path, opened: Open) -> Workspace:
    """What was there before anybody withdrew."""
    lake = tmp_path / "lake"
    write_delivery(lake, *FHIR, "d1", {"Patient.ndjson": patients([1, 2, 3]), "Condition.ndjson": conditions([1, 2, 3])})
    workspace = opened(lake)
    land_all(workspace)
    return workspace


def deliver_late(lake: Path) -> None:
    """Of P1 three records, one of them twice; of P2 two."""
    late = conditions([1, 2], mark="late")
    write_delivery(lake, *FHIR, "d2", {"Patient.ndjson": patients([1, 2]), "Condition.ndjson": late + late.splitlines(True)[0]}, sequence=2)


def test_late_data_of_somebody_who_withdrew_lands_nowhere_and_is_counted(before: Workspace) -> None:
    withdraw(before, 1)
    had = people_in(before, "fhir/condition")
    deliver_late(before.root)
    land_all(before)
    assert counts(before, *FHIR, "d2") == (5, 2, 3, 0)
    entries = before.deliveries.quarantined(delivery_id="d2")
    assert sorted((e["file_index"], e["row_number"], e["reason"]) for e in entries) == [
        (0, 1, "person_withdrawn"), (1, 1, "person_withdrawn"), (1, 3, "person_withdrawn"),
    ]  # fmt: skip
    gone = person(before, 1)[0]
    assert people_in(before, "fhir/condition")[gone] == had[gone] == 1
    assert before.withdrawn.count_of([gone]) == 3
    assert before.withdrawn.released() == []


def test_what_was_held_lands_once_the_person_consents_again_as_if_it_had_come_in_time(
    before: Workspace, tmp_path: Path, opened: Open
) -> None:
    shutil.copytree(before.root, tmp_path / "in_time")
    in_time = opened(tmp_path / "in_time")
    withdraw(before, 1)
    for workspace in (before, in_time):
        deliver_late(workspace.root)
        land_all(workspace)
    held = rows(before)
    withdraw(before)
    (done,) = land_released(before)
    assert (done.problem, done.landed, done.duplicate) == (None, 2, 1)
    assert rows(before) == rows(in_time) != held
    assert counts(before, *FHIR, "d2") == counts(in_time, *FHIR, "d2") == (5, 4, 0, 1)
    assert land_released(before) == []
    assert before.withdrawn.held(DeliveryKey(*FHIR, "d2")) == []


def test_a_replay_by_hand_lands_nothing_of_somebody_who_has_withdrawn(before: Workspace) -> None:
    withdraw(before, 1, 2)
    deliver_late(before.root)
    land_all(before)
    withdraw(before, 1)
    had = rows(before)
    done = replay(before, DeliveryKey(*FHIR, "d2"), {e["id"] for e in before.deliveries.quarantined()})
    assert (done.asked, done.landed, dict(done.still)) == (5, 2, {"person_withdrawn": 3})
    assert people_in(before, "fhir/condition")[person(before, 1)[0]] == 1
    assert people_in(before, "fhir/condition")[person(before, 2)[0]] == 2
    assert rows(before) != had
    assert counts(before, *FHIR, "d2") == (5, 2, 3, 0)
    assert before.withdrawn.released() == []


def test_a_mended_rule_lets_nothing_in_of_somebody_who_has_withdrawn(before: Workspace, sites: Path, tmp_path: Path, opened: Open) -> None:
    """The file was of an unknown name; mapped, its records are judged one by one."""
    write_delivery(before.root, "h90", "lims", "b1", {"spender.csv": "donor_id,birth_date,sex\nP1,1960-01-01,M\nP2,1961-01-01,F\n"})
    land_all(before)
    withdraw(before, 1)
    key = DeliveryKey("h90", "lims", "b1")
    text = (sites / "h90.toml").read_text(encoding="utf-8")
    (sites / "h90.toml").write_text(
        text.replace("[feeds.claims_hira]", '[feeds.lims.files]\nspender = "donor"\n[feeds.claims_hira]'), encoding="utf-8"
    )
    after = opened(before.root)
    done = replay(after, key, {e["id"] for e in after.deliveries.quarantined(delivery_id="b1")})
    assert (done.landed, dict(done.still), counts(after, "h90", "lims", "b1")) == (1, {"person_withdrawn": 1}, (2, 1, 1, 0))
    withdraw(after)
    assert [r.landed for r in land_released(after)] == [1]
    assert counts(after, "h90", "lims", "b1") == (2, 2, 0, 0)


@pytest.mark.parametrize("now_withdrawn", [(), (1,), (1, 2)])
def test_a_repair_restores_what_had_landed_whoever_has_withdrawn_since(before: Workspace, now_withdrawn: tuple[int, ...]) -> None:
    withdraw(before, 1)
    deliver_late(before.root)
    land_all(before)
    had, accounts = rows(before), counts(before, *FHIR, "d2")
    withdraw(before, *now_withdrawn)
    shutil.rmtree(before.root / "tables" / "raw" / "fhir")
    assert repair(before).left == []
    assert rows(before) == had
    assert counts(before, *FHIR, "d2") == accounts


class Killed(BaseException):
    """Stands for a kill."""


def die_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, nth: int) -> None:
    real, calls = getattr(owner, name), 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, dying)


@pytest.mark.parametrize(("first", "then"), [((1,), ()), ((), (1,)), ((1,), (2,))])
def test_a_landing_killed_between_two_tables_holds_what_it_began_to_hold(
    before: Workspace, opened: Open, monkeypatch: pytest.MonkeyPatch, first: tuple[int, ...], then: tuple[int, ...]
) -> None:
    """A run of another site may build in between, and then somebody else has withdrawn."""
    withdraw(before, *first)
    deliver_late(before.root)
    with monkeypatch.context() as patched:
        die_at(patched, tables, "append", 2)
        with pytest.raises(Killed):
            land_all(before)
    again = opened(before.root)
    withdraw(again, *then)
    land_all(again)
    held = {h.person_id for h in again.withdrawn.held(DeliveryKey(*FHIR, "d2"))}
    assert held == {person(again, n)[0] for n in first}
    assert counts(again, *FHIR, "d2") == ((5, 2, 3, 0) if first else (5, 4, 0, 1))


@pytest.mark.parametrize("owner", [tables, Deliveries])
def test_a_replay_that_was_killed_is_finished_as_it_began(
    before: Workspace, opened: Open, monkeypatch: pytest.MonkeyPatch, owner: Any
) -> None:
    """The person withdraws once more before the next run: what has landed of the record is in a table already."""
    withdraw(before, 1)
    deliver_late(before.root)
    land_all(before)
    withdraw(before)
    with monkeypatch.context() as patched:
        die_at(patched, owner, "append" if owner is tables else "close_replayed", 2 if owner is tables else 1)
        with pytest.raises(Killed):
            land_released(before)
    again = opened(before.root)
    withdraw(again, 1)
    assert [(r.problem, r.landed) for r in finish_replays(again)] == [(None, 2)]
    assert counts(again, *FHIR, "d2") == (5, 4, 0, 1)
    assert (finish_replays(again), land_released(again)) == ([], [])


def test_what_says_who_consents_and_which_samples_to_destroy_lands_all_the_same(before: Workspace) -> None:
    withdraw(before, 1)
    consent = CONSENT_HEADER + "g1,K1,,h90,P1,grant,clinical,F1,1,patient,2026-01-01,,\n"
    write_delivery(before.root, "c90", "consent", "k1", {"event.csv": consent})
    lims = {
        "donor.csv": "donor_id,birth_date,sex\nP1,1960-01-01,M\n",
        "specimen.csv": "specimen_id,donor_id,sample_type,collected_at,amount_collected,amount_unit\nS1,P1,Blood,2026-01-02 08:00,10,mL\n",
        "aliquot.csv": "aliquot_id,parent_id,donor_id,sample_type,created_at,amount_initial,amount_unit\nA1,S1,P1,Plasma,2026-01-02 10:00,2,mL\n",
        "freeze_thaw.csv": "event_id,sample_id,donor_id,occurred_at\nf1,A1,P1,2026-01-03 09:00\n",
        "custody.csv": "event_id,sample_id,donor_id,to_holder,occurred_at\nu1,A1,P1,u01,2026-01-03 09:00\n",
        "disposal.csv": "event_id,sample_id,donor_id,occurred_at,method\nx1,A1,P1,2026-01-03 09:00,incineration\n",
    }
    write_delivery(before.root, "h90", "lims", "b1", lims)
    write_delivery(before.root, "h91", "fhir_r4", "d1", {"Patient.ndjson": patients([1])})
    land_all(before)
    assert counts(before, "c90", "consent", "k1") == (1, 1, 0, 0)
    assert counts(before, "h90", "lims", "b1") == (6, 4, 2, 0)
    assert {e["entity"]: e["landed"] for e in before.deliveries.entity_counts(DeliveryKey("h90", "lims", "b1"))} == {
        "donor": 0, "specimen": 1, "aliquot": 1, "freeze_thaw": 0, "custody": 1, "disposal": 1,
    }  # fmt: skip
    assert counts(before, "h91", "fhir_r4", "d1") == (1, 1, 0, 0), (
        "what is read on another legal basis than consent is not closed by a withdrawal"
    )
    withdraw(before)
    assert [r.landed for r in land_released(before)] == [2]


def test_a_message_that_fills_several_tables_is_held_whole(before: Workspace) -> None:
    withdraw(before, 1)

    def message(number: int, patient: str) -> str:
        head = f"MSH|^~\\&|HIS|H90|||20210501080000||ORU^R01|{number}|P|2.5\rPID|1||{patient}^^^H90^MR||KIM||19700101\r"
        return f"{head}OBR|1||F{number}|4548-4^HbA1c^LN\rOBX|1|NM|4548-4^HbA1c^LN||7.1|%|||||F|||20210501070000\r"

    write_delivery(before.root, "h90", "hl7_v2", "m1", {"messages.hl7": message(1, "P1") + message(2, "P2")})
    land_all(before)
    assert counts(before, "h90", "hl7_v2", "m1") == (2, 1, 1, 0)
    key = DeliveryKey("h90", "hl7_v2", "m1")
    assert {e["entity"]: e["landed"] for e in before.deliveries.entity_counts(key)} == {"message": 1, "patient": 1, "observation_result": 1}
    withdraw(before)
    land_released(before)
    assert counts(before, "h90", "hl7_v2", "m1") == (2, 2, 0, 0)
    assert {e["entity"]: e["landed"] for e in before.deliveries.entity_counts(key)} == {"message": 2, "patient": 2, "observation_result": 2}


def test_lines_that_take_their_person_from_a_statement_are_held_and_land_with_it(before: Workspace) -> None:
    withdraw(before, 1)
    files = {
        "T200.csv": "SPEC_ID_SNO,JID,FOM_TP_CD,RECU_FR_DD\n1,P1,031,20250101\n2,P2,031,20250101\n",
        "T400.csv": "SPEC_ID_SNO,SICK_SNO,SICK_CD\n1,1,E11\n2,1,E11\n1,2,I10\n3,1,E11\n",
    }
    text = '[feeds.claims_hira.files]\nT200 = "statement"\nT400 = "diagnosis"\n'
    path = Path(str(before.sites_folder)) / "h90.toml"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    workspace = Workspace(before.root, sites_folder=before.sites_folder)
    write_delivery(before.root, "h90", "claims_hira", "t1", files)
    land_all(workspace)
    assert counts(workspace, "h90", "claims_hira", "t1") == (6, 2, 4, 0)
    assert Counter(e["reason"] for e in workspace.deliveries.quarantined()) == {"person_withdrawn": 3, "missing_parent": 1}
    withdraw(workspace)
    assert [(r.problem, r.landed, dict(r.still)) for r in land_released(workspace)] == [(None, 3, {})]
    assert counts(workspace, "h90", "claims_hira", "t1") == (6, 5, 1, 0)
    assert people_in(workspace, "claims_hira/diagnosis") == {person(workspace, 1)[0]: 2, person(workspace, 2)[0]: 1}


def test_what_is_held_of_somebody_is_destroyed_when_they_are_erased(before: Workspace) -> None:
    withdraw(before, 1)
    deliver_late(before.root)
    land_all(before)
    who = person(before, 1)[0]
    erasure = steps.begin(before, [who])
    steps.before_build(before, erasure)
    steps.after_build(before, erasure, lambda _: None)
    everything = b"".join(p.read_bytes() for p in before.root.rglob("*") if p.is_file() and not {"vault", "inbox"}.intersection(p.parts))
    assert b"700101-1234561" not in everything
    assert b"Patient/P1" not in everything
    assert Counter(e["reason"] for e in before.deliveries.quarantined()) == {"erased_person": 3}
    assert before.withdrawn.count_of([who]) == 0
    assert late_records(before) == [], "their bytes are gone"
    assert counts(before, *FHIR, "d2") == (5, 2, 3, 0)


def test_a_delivery_whose_file_was_destroyed_keeps_what_it_holds_and_says_so_once(before: Workspace) -> None:
    withdraw(before, 1)
    deliver_late(before.root)
    land_all(before)
    withdraw(before)
    path = door.stored_folder(before, DeliveryKey(*FHIR, "d2")) / "Condition.ndjson"
    path.write_bytes(path.read_bytes().replace(b"2020-01-01", b"2020-01-02", 1))
    (done,) = land_released(before)
    assert "is not what was accepted" in (done.problem or "")
    assert "have it delivered again" in (done.problem or "")
    assert land_released(before) == []
    assert Counter(e["reason"] for e in before.deliveries.quarantined()) == {"person_withdrawn": 3}


def test_two_who_were_merged_count_as_withdrawn_until_a_build_says_which_holds(before: Workspace) -> None:
    """P1 has withdrawn; P4 turns out to be P1 by the resident number. Its rows land under its own id, and are held under it."""
    withdraw(before, 1)
    both = patients([1]).replace('"P1"', '"P4"')
    write_delivery(before.root, *FHIR, "d2", {"Patient.ndjson": both, "Condition.ndjson": conditions([4])}, sequence=2)
    land_all(before)
    assert counts(before, *FHIR, "d2") == (2, 0, 2, 0)


def test_a_correction_that_gives_somebody_elses_record_to_the_withdrawn_person_lands(before: Workspace) -> None:
    """Else P2 would keep, for research, what the sender has said is not theirs. c1 was P1's already; x is new and was never anybody's."""
    withdraw(before, 1)
    wrong = "".join(
        conditions([n], mark=mark).replace(f'"{mark}{n}"', f'"{name}"') for n, mark, name in ((1, "a", "c2"), (1, "a", "c1"), (1, "a", "x"))
    )
    within = conditions([3], mark="y").replace('"y3"', '"y"') + conditions([1], mark="y").replace('"y1"', '"y"')
    write_delivery(before.root, *FHIR, "d2", {"Condition.ndjson": wrong + within}, sequence=2)
    land_all(before)
    assert counts(before, *FHIR, "d2") == (5, 3, 2, 0)
    assert [e["row_number"] for e in before.deliveries.quarantined(delivery_id="d2")] == [2, 3]
    assert people_in(before, "fhir/condition")[person(before, 1)[0]] == 3, "c1 from before, c2 and y taken from others"


# --- who is said to withdraw counts as withdrawn until a build has judged it


def built(workspace: Workspace) -> None:
    """A build that has judged everything so far."""
    workspace.commits.start_build("b1", as_of="2026-01-01", full=False, buckets=None, version="")
    workspace.commits.finish_build("b1", workspace.commits.pending(), next_consent_change=None)


def deliver_events(lake: Path, delivery: str, *events: tuple[str, str], sequence: int = 1) -> None:
    """What a consent service says: what happened, to which patient; an event has the same name whenever it is told."""
    lines = "".join(
        f"{event}-{patient},K{patient},,h90,{patient},{event},clinical,F1,1,patient,2026-01-01,,\n" for event, patient in events
    )
    write_delivery(lake, "c90", "consent", delivery, {"event.csv": CONSENT_HEADER + lines}, sequence=sequence)


def test_data_that_comes_with_the_withdrawal_is_held_and_lands_if_the_build_finds_another_consent(before: Workspace) -> None:
    """The second patient grants: of them nothing is held."""
    built(before)
    deliver_events(before.root, "k1", ("Withdraw", "P1"), ("grant", "P2"))
    land_all(before)
    deliver_late(before.root)
    land_all(before)
    assert counts(before, *FHIR, "d2") == (5, 2, 3, 0)
    assert person(before, 1)[1] in (before.commits.pending().buckets or ()), "the next build judges"
    assert land_released(before) == []
    before.withdrawn.replace([], buckets=[person(before, 1)[1]])
    assert [(r.problem, r.landed) for r in land_released(before)] == [(None, 2)]
    assert counts(before, *FHIR, "d2") == (5, 4, 0, 1)


def test_in_a_lake_that_was_never_built_nothing_has_come_late(before: Workspace) -> None:
    deliver_events(before.root, "k1", ("withdraw", "P1"))
    land_all(before)
    assert before.withdrawn.known([person(before, 1)[0]]) == set()


def test_a_withdrawal_that_is_told_again_is_no_news(before: Workspace) -> None:
    """Many services send all they know every night; what the last build made of it stands."""
    deliver_events(before.root, "k1", ("grant", "P1"), ("withdraw", "P1"))
    land_all(before)
    built(before)
    deliver_events(before.root, "k2", ("grant", "P1"), ("withdraw", "P1"), ("withdraw", "P2"), sequence=2)
    land_all(before)
    assert before.withdrawn.known([person(before, n)[0] for n in (1, 2, 3)]) == {person(before, 2)[0]}


def test_an_event_that_says_otherwise_than_before_is_news(before: Workspace) -> None:
    """The service corrects event e1 of a patient from a grant to a withdrawal."""
    events = (CONSENT_HEADER + f"e1,KP1,,h90,P1,{event},clinical,F1,1,patient,2026-01-01,,\n" for event in ("grant", "withdraw"))
    write_delivery(before.root, "c90", "consent", "k1", {"event.csv": next(events)})
    land_all(before)
    built(before)
    write_delivery(before.root, "c90", "consent", "k2", {"event.csv": next(events)}, sequence=2)
    land_all(before)
    assert before.withdrawn.known([person(before, 1)[0]]) == {person(before, 1)[0]}


@pytest.mark.parametrize(
    ("consent", "is_withdrawn"),
    [('"status":"rejected"', True), ('"status":"active","provision":{"type":"deny"}', True), ('"status":"active"', False)],
)
def test_a_hospitals_own_consent_that_denies_is_believed_too(before: Workspace, consent: str, is_withdrawn: bool) -> None:
    built(before)
    resource = f'{{"resourceType":"Consent","id":"k1",{consent},"patient":{{"reference":"Patient/P1"}},"dateTime":"2026-01-01"}}\n'
    write_delivery(before.root, *FHIR, "d2", {"Patient.ndjson": patients([1]), "Consent.ndjson": resource}, sequence=2)
    land_all(before)
    assert counts(before, *FHIR, "d2") == (2, 2, 0, 0), "what comes in the same delivery lands with it"
    assert bool(before.withdrawn.known([person(before, 1)[0]])) is is_withdrawn


def test_who_was_merged_counts_under_both_ids(before: Workspace) -> None:
    """P4 was somebody of their own until the hospital told the resident number, which is P1's."""
    nameless = '{"resourceType":"Patient","id":"P4","birthDate":"1970-01-01"}\n'
    write_delivery(before.root, *FHIR, "d2", {"Patient.ndjson": nameless}, sequence=2)
    land_all(before)
    alias = person(before, 4)[0]
    write_delivery(before.root, *FHIR, "d3", {"Patient.ndjson": patients([1]).replace('"P1"', '"P4"')}, sequence=3)
    land_all(before)
    built(before)
    deliver_events(before.root, "k1", ("withdraw", "P4"))
    land_all(before)
    ids = {alias, person(before, 1)[0]}
    assert len(ids) == 2
    assert before.withdrawn.known(ids) == ids


def test_a_landing_killed_before_its_end_still_says_who_withdraws(before: Workspace, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are in the table when it is done again: they are no earlier ones."""
    built(before)
    deliver_events(before.root, "k1", ("withdraw", "P1"))
    with monkeypatch.context() as patched:
        die_at(patched, Deliveries, "close_landed", 1)
        with pytest.raises(Killed):
            land_all(before)
    again = opened(before.root)
    again.withdrawn.replace([], buckets=None)
    land_all(again)
    assert again.withdrawn.known([person(again, 1)[0]]) == {person(again, 1)[0]}
