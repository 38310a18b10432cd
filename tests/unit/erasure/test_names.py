"""A name or address that nobody else has is looked for, told by place, and taken out or left only when somebody says so."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.erasure import receipt
from assets.erasure.named import SHOWN, SILENT, Said, lines_of, not_to_be_removed
from assets.erasure.names import is_short, needles_of
from assets.erasure.preview import preview
from assets.erasure.search import sought_of
from assets.erasure.standing import standings
from assets.erasure.steps import ErasureError, unfinished
from assets.landing.workspace import Workspace
from assets.privacy.demographics import Written, normalise
from tests.conftest import write_delivery
from tests.faults.erasing import NAMES, SITE, conditions, erase, person
from tests.faults.killing import land_all

NAME, ADDRESS = NAMES[1], "세종대로 110, 5동 101호"
NOTES = "landing/h02/fhir_r4/d4/Condition.ndjson"


def _open(lake: Path, *numbers: int, said: Said = SILENT) -> tuple[str, dict[str, Any]]:
    """What an erasure that cannot end says, and the places that it has shown."""
    with pytest.raises(ErasureError) as caught:
        erase(lake, *numbers, said=said)
    workspace = Workspace(lake)
    (erasure_id,) = unfinished(workspace)
    row = workspace.erasures.get(erasure_id)
    assert row is not None
    return str(caught.value), row["facts"][SHOWN]


def _note(lake: Path, content: bytes | str = NAME, name: str = "note") -> Path:
    path = lake / "control" / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _deliver_note_about(lake: Path) -> Path:
    """A record of the second person that names the first; a second record does not."""
    first, second = conditions([2], mark="n").splitlines(True)
    told = first.replace("}\n", f',"note":[{{"text":"brother {NAME}"}}]}}\n')
    write_delivery(lake, SITE, "fhir_r4", "d4", {"Condition.ndjson": told + second}, sequence=4)
    land_all(lake, "nowhere")
    return lake / NOTES


def test_a_rare_name_and_address_are_found_wherever_they_stand_and_told_by_place_only(lake: Path) -> None:
    notes = {
        "log": f"refused {NAME}은 here", "korean": NAME.encode("cp949"), "deep.gz": gzip.compress(gzip.compress(NAME.encode())), "event": json.dumps(NAME),
        "hl7": "PID|1||||홍^길동", "home": f"lives at {ADDRESS}, Seoul", "mail": "세종대로1105동101호",
    }  # fmt: skip
    for name, content in notes.items():
        _note(lake, content, name)
    pq.write_table(pa.table({"text": [None, NAME]}), lake / "control" / "table.parquet")
    said, shown = _open(lake, 1)
    assert {place.removeprefix("control/"): [*kinds] for place, kinds in shown.items()} == {
        "log": ["name"], "korean": ["name"], "deep.gz": ["name"], "event": ["name"], "hl7": ["name"], "table.parquet": ["name"], "home": ["address"],
        "mail": ["address"],
    }  # fmt: skip
    assert "control/log (name 1)" in said
    told = said + json.dumps(shown, ensure_ascii=False) + "".join(e.detail for e in Workspace(lake).audit.newest(50))
    assert not any(value in told for value in (NAME, "길동", "세종대로"))


def test_a_name_that_somebody_else_has_is_not_looked_for_unless_both_are_erased(lake: Path, tmp_path: Path) -> None:
    _note(lake, NAMES[4])
    (facts,) = erase(lake, 4)
    assert (facts["scan"]["values"]["address"], facts["scan"]["names_shared"]) == (1, 1)
    assert "name" not in facts["scan"]["values"]
    assert _open(lake, 5)[1] == {"control/note": {"name": 1}}, "now nobody else has it"


def test_namesakes_who_are_erased_together_share_a_name_with_nobody(lake: Path) -> None:
    _note(lake, NAMES[4])
    assert _open(lake, 4, 5)[1] == {"control/note": {"name": 1}}


def test_a_dry_run_says_how_many_values_are_looked_for(lake: Path) -> None:
    seen = [preview(Workspace(lake), [person(lake, n)]) for n in (1, 4)]
    assert [(s.values.get("name", 0), s.values["address"], s.not_searched) for s in seen] == [(1, 1, {}), (0, 1, {"names_shared": 1})]
    assert seen[0].values["kr_rrn"] == 1


def test_a_name_is_left_only_where_it_was_shown_and_audit_and_receipt_say_so(lake: Path) -> None:
    _note(lake)
    leave = Said(leave=True)
    assert _open(lake, 1, said=leave)[1] == {"control/note": {"name": 1}}, "nobody has looked at what was not shown"
    _note(lake, ADDRESS, "home")
    assert "home (address 1)" in _open(lake, said=leave)[0]
    (facts,) = erase(lake, said=leave)
    assert facts["scan"]["names_left"] == {"control/home": {"address": 1}, "control/note": {"name": 1}}
    assert facts["scan"]["matches"] == 0
    workspace = Workspace(lake)
    (told,) = (e for e in workspace.audit.newest(50) if e.action == "erasure.names_left")
    assert json.loads(told.detail) == {"erasure": facts["erasure_id"], "places": 2}
    (standing,) = standings(workspace)
    assert (standing.names_left, standing.problem) == (2, "")


def test_what_was_left_stays_left_when_the_erasure_is_killed_before_its_receipt(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _note(lake)
    _open(lake, 1)
    with monkeypatch.context() as patched:
        patched.setattr(receipt, "write", Mock(side_effect=OSError("disk is full")))
        with pytest.raises(OSError, match="disk is full"):
            erase(lake, said=Said(leave=True))
    (facts,) = erase(lake)
    assert facts["scan"]["names_left"] == {"control/note": {"name": 1}}


def test_an_identifier_is_never_left(lake: Path) -> None:
    _note(lake, "patient-0001")
    _open_places = _open(lake, 1)
    assert "control/note (local 1)" in _open_places[0]
    assert _open(lake, said=Said(leave=True)) == _open_places


def test_a_record_of_somebody_else_that_names_the_person_stays_until_somebody_says_otherwise(lake: Path) -> None:
    path = _deliver_note_about(lake)
    before = path.read_bytes()
    assert _open(lake, 1)[1] == {NOTES: {"name": 1}}
    assert path.read_bytes() == before
    (facts,) = erase(lake, said=Said(remove=(NOTES,)))
    assert [line.strip() == "{}" for line in path.read_text().splitlines()] == [True, False]
    assert "names_left" not in {k for k, v in facts["scan"].items() if v}
    assert {"delivery": "h02/fhir_r4/d4", "records": 1}.items() <= facts["files_redacted"][-1].items()


def test_lines_are_told_at_which_somebody_has_to_look(lake: Path) -> None:
    _deliver_note_about(lake)
    lines = f"nothing\n{NAME}은\n\n{ADDRESS} {NAME}\npatient-0003\n".encode()
    _note(lake, gzip.compress(lines), "log.gz")
    _note(lake, lines, "log")
    _, shown = _open(lake, 1)
    workspace = Workspace(lake)
    scanner = sought_of(workspace, [person(lake, 1)]).everything
    assert {place: lines_of(workspace, scanner, place) for place in shown} == {NOTES: [1], "control/log": [2, 4], "control/log.gz": [2, 4]}


def test_nothing_is_taken_out_of_what_was_not_shown_or_is_no_file_of_a_sender_or_log(lake: Path) -> None:
    _deliver_note_about(lake)
    note = _note(lake)
    _open(lake, 1)
    workspace, patients = Workspace(lake), "landing/h02/fhir_r4/d1/Patient.ndjson"
    assert not_to_be_removed(workspace, unfinished(workspace), ["control/note", patients, NOTES]) == ["control/note", patients]
    assert set(_open(lake, said=Said(remove=("control/note", patients)))[1]) == {"control/note", NOTES}
    assert note.exists()
    assert b'"Patient"' in (lake / patients).read_bytes()


def test_of_files_that_hold_a_name_only_those_go_that_somebody_named(lake: Path) -> None:
    logs = [lake / "control" / "dbt" / name for name in ("dbt.log", "other.log")]
    logs[0].parent.mkdir()
    for log in logs:
        log.write_text(NAME)
    _open(lake, 1)
    assert set(_open(lake, said=Said(remove=("control/dbt/dbt.log",)))[1]) == {"control/dbt/other.log"}


def test_files_of_dbt_that_name_the_person_go_when_somebody_says_so(lake: Path) -> None:
    log = lake / "control" / "dbt" / "dbt.log"
    log.parent.mkdir()
    log.write_text(f"could not cast {NAME}")
    assert _open(lake, 1)[1] == {"control/dbt/dbt.log": {"name": 1}}
    (facts,) = erase(lake, said=Said(remove=("control/dbt/dbt.log",)))
    assert not log.exists()
    assert facts["artefacts"] == {"files": 1}


def test_a_place_is_told_without_the_name_that_stands_in_its_path(lake: Path) -> None:
    write_delivery(lake, SITE, "fhir_r4", "d4", {f"{NAME}.ndjson": conditions([2], mark="n")}, sequence=4)
    land_all(lake, "nowhere")
    _note(lake, "nothing", f"of {NAME}.txt")
    said, shown = _open(lake, 1)
    assert {place for place in shown if "d4/manifest" not in place} == {
        "control (in a name below)",
        "landing/h02/fhir_r4/d4/file-0001.ndjson",
    }
    assert NAME not in said


@pytest.mark.parametrize(
    ("raw", "short"),
    [
        ({"name": "홍길동"}, False), ({"name": "허준"}, True), ({"name": "Hong Gil-dong"}, False), ({"name": "So Young"}, True), ({"name": "Christopher"}, True),
        ({"line": "세종대로 110, 5동 101호"}, False), ({"line": "Main Street North"}, True), ({"line": "12-3"}, True), ({"line": "역삼동 12"}, True),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else None,
)  # fmt: skip
def test_what_would_be_found_by_chance_is_not_looked_for(raw: dict[str, str], short: bool) -> None:
    assert {is_short(one) for one in normalise(raw).told} == {short}


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ({"name": "홍길동"}, {"홍길동", "홍 길동", "홍^길동"}),
        ({"name": "남궁길동"}, {"남궁길동", "남 궁길동", "남^궁길동", "남궁 길동", "남궁^길동"}),
        ({"family": "Hong", "given": "Gildong"}, {
            "Hong Gildong", "gildong hong", "HONG GILDONG", "Gildong Hong", "GILDONG HONG", "Hong, Gildong", "HONG, GILDONG", "Gildong, Hong", "GILDONG, HONG",
            "Hong^Gildong", "HONG^GILDONG", "Gildong^Hong", "GILDONG^HONG",
        }),
        ({"line": "서울특별시 중구 세종대로 110", "province": "서울특별시", "city": "중구"}, {"서울특별시 중구 세종대로 110", "세종대로 110", "세종대로110"}),
    ],
    ids=["Hangul", "a family name of two syllables", "Latin", "address"],
)  # fmt: skip
def test_a_value_is_looked_for_in_every_usual_way_to_write_it(raw: dict[str, str], written: set[str]) -> None:
    assert {needle.value for needle in needles_of(normalise(raw).told)} == written


def test_of_other_ways_to_write_a_value_only_plain_text_is_looked_for() -> None:
    needles = needles_of([Written("name", "홍길동", "홍길동")])
    assert {needle.value: needle.is_variant for needle in needles} == {"홍길동": False, "홍 길동": True, "홍^길동": True}
