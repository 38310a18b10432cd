"""Bad input, one fixture a kind: a clear reason that names file, record and rule; the good records beside it land; the accounts hold."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.landing.door import admit
from assets.landing.land import Landing, land
from assets.landing.workspace import Workspace

Deliver = Callable[..., Path]
GOOD = '{"resourceType":"Patient","id":"good","birthDate":"1970-01-01"}\n'
STU3 = (
    '{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/good"},"clinicalStatus":"active","assertedDate":"2019-01-01"}\n'
)
CSV_HEADER = "Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\n"
CSV_GOOD = "good,1970-01-01,,M,white,nonhispanic,MA\n"
DEEP = '{"resourceType":"Patient","id":"deep","extension":' + '[{"extension":' * 500 + "[]" + "}]" * 500 + "}\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def _land(workspace: Workspace, folder: Path) -> Landing:
    key = admit(workspace, folder)
    row: Any = workspace.deliveries.get(key)
    assert row["state"] == "accepted", row["detail"]
    return land(workspace, key)


def _reasons(workspace: Workspace) -> Counter[str]:
    return Counter(q["reason"] for q in workspace.deliveries.quarantined())


def _balanced(outcome: Landing) -> bool:
    return outcome.delivered == outcome.landed + outcome.quarantined + outcome.duplicate


@pytest.mark.scenario("11 50 MB field")
@pytest.mark.scenario("12 JSON depth, duplicate keys, NaN, lone surrogates, 6,000 digits")
@pytest.mark.parametrize(
    ("bad", "reason", "rule"),
    [
        ("{not json}", "invalid_json", None),
        ('{"resourceType":"Patient","id":"x","birthDate":"2023-02-30"}', "invalid_date", "birthDate"),
        ('{"resourceType":"Patient","id":"x","birthDate":19700101}', "invalid_type", "birthDate"),
        ('{"resourceType":"Patient","birthDate":"1970-01-01"}', "missing_key", "id"),
        ('{"resourceType":"Condition","id":"x"}', "missing_person", "subject"),
        ('{"resourceType":"Patient","id":"x","id":"y"}', "duplicate_json_key", None),
        ('{"resourceType":"Observation","id":"x","status":"final","subject":{"reference":"Patient/good"},"valueQuantity":{"value":NaN}}', "invalid_json", None),
        (DEEP.strip(), "too_deep", None),
        ('{"resourceType":"Dragon","id":"x"}', "unknown_resource_type", None),
        ('{"exportId":"1"}', "not_a_fhir_resource", None),
        ('{"resourceType":"Patient","id":"x","modifierExtension":[{"url":"urn:x"}]}', "modifier_extension", None),
        ('{"resourceType":"Patient","id":"x","text":"' + "x" * 50_000_000 + '"}', "record_too_large", None),
    ],
    ids=lambda v: v[:40] if isinstance(v, str) else "-",
)  # fmt: skip
def test_bad_record_is_quarantined_and_the_rest_lands(
    workspace: Workspace, deliver: Deliver, bad: str, reason: str, rule: str | None
) -> None:
    outcome = _land(
        workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": GOOD + bad + "\n" + GOOD.replace("good", "other")})
    )
    (row,) = workspace.deliveries.quarantined()
    assert (row["reason"], row["ref"], row["row_number"]) == (reason, "Patient.ndjson", 2)
    assert rule is None or rule in row["rule"]
    assert (outcome.delivered, outcome.landed, outcome.quarantined) == (3, 2, 1)


@pytest.mark.scenario("09 wrong and mixed encodings")
def test_text_that_is_not_in_the_declared_encoding_is_quarantined(workspace: Workspace, deliver: Deliver) -> None:
    broken = GOOD.replace("good", "한글").encode("cp949")
    outcome = _land(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": GOOD.encode() + broken}))
    assert _reasons(workspace) == {"encoding": 1}
    assert _balanced(outcome)
    assert outcome.landed == 1


@pytest.mark.scenario("01 truncated or altered file")
@pytest.mark.scenario("08 zip and gzip bombs")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_file"),
        (gzip.compress(GOOD.encode() * 5000)[:-20], "truncated_gzip"),
        (gzip.compress(b" " * 400_000_000), "archive_bomb"),
        (b"this is no gzip at all", "corrupt_gzip"),
    ],
    ids=["empty", "truncated", "bomb", "no gzip"],
)
def test_bad_file_is_quarantined_and_the_other_file_lands(workspace: Workspace, deliver: Deliver, content: bytes, reason: str) -> None:
    name = "Condition.ndjson" if reason == "empty_file" else "Condition.ndjson.gz"
    outcome = _land(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": GOOD, name: content}))
    assert reason in _reasons(workspace)
    assert outcome.landed == 1
    assert _balanced(outcome)


def test_gzipped_delivery_lands_like_a_plain_one(workspace: Workspace, deliver: Deliver) -> None:
    outcome = _land(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson.gz": gzip.compress(GOOD.encode())}))
    assert (outcome.delivered, outcome.landed) == (1, 1)


def test_stu3_in_an_r4_feed_is_refused_with_that_reason(workspace: Workspace, deliver: Deliver) -> None:
    outcome = _land(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": GOOD, "Condition.ndjson": STU3}))
    row: Any = workspace.deliveries.get(outcome.key)
    assert (row["state"], row["reason"]) == ("refused", "fhir_version")
    assert "STU3" in row["detail"]
    assert "Condition.ndjson" in row["detail"]
    assert not (workspace.root / "tables" / "raw" / "fhir").exists(), "nothing of a refused delivery may land"


@pytest.mark.scenario("01 truncated or altered file")
def test_wrong_record_count_is_refused(workspace: Workspace, deliver: Deliver) -> None:
    folder = deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": GOOD})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["records"] = 2
    (folder / "manifest.json").write_text(json.dumps(manifest))
    outcome = _land(workspace, folder)
    row: Any = workspace.deliveries.get(outcome.key)
    assert (row["state"], row["reason"]) == ("refused", "count_mismatch")


@pytest.mark.scenario("10 unclosed quotes, ragged rows, NULs")
@pytest.mark.scenario("11 50 MB field")
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("bad,1970-02-30,,M,white,nonhispanic,MA\n", "invalid_date"),
        ("bad,1970-01-01,,M,white\n", "ragged_row"),
        ('bad,1970-01-01,,"M,white,nonhispanic,MA\n', "unclosed_quote"),
        (",1970-01-01,,M,white,nonhispanic,MA\n", "missing_"),
        ("bad\0,1970-01-01,,M,white,nonhispanic,MA\n", "nul_byte"),
        ("bad,1970-01-01,,M," + "x" * 50_000_000 + ",nonhispanic,MA\n", "record_too_large"),
    ],
    ids=["date", "ragged", "quote", "key", "nul", "50 MB"],
)
def test_bad_row_is_quarantined_and_the_rest_lands(workspace: Workspace, deliver: Deliver, row: str, reason: str) -> None:
    files = {"patients.csv": CSV_HEADER + CSV_GOOD + row + CSV_GOOD.replace("good", "other")}
    outcome = _land(workspace, deliver(workspace.root, "h03", "synthea_csv", "d1", files))
    (found,) = workspace.deliveries.quarantined()
    assert found["reason"].startswith(reason)
    assert (found["ref"], found["row_number"]) == ("patients.csv", 2)
    assert (outcome.delivered, outcome.landed, outcome.quarantined) == (3, 2, 1)


def test_missing_column_names_what_is_missing_and_what_is_there(workspace: Workspace, deliver: Deliver) -> None:
    files = {"patients.csv": "Id,GENDER\na,M\nb,F\n"}
    outcome = _land(workspace, deliver(workspace.root, "h03", "synthea_csv", "d1", files))
    (row,) = workspace.deliveries.quarantined()
    assert (row["reason"], row["records"]) == ("header_mismatch", 2)
    assert "BIRTHDATE" in row["detail"]
    assert "GENDER" in row["detail"]
    assert _balanced(outcome)


def test_record_that_returns_to_an_older_state_is_a_new_version(workspace: Workspace, deliver: Deliver) -> None:
    files = {"all.ndjson": GOOD + GOOD.replace("1970", "1971") + GOOD}
    outcome = _land(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", files))
    assert (outcome.delivered, outcome.landed, outcome.duplicate) == (3, 3, 0)


def test_record_said_twice_is_counted_as_duplicate(workspace: Workspace, deliver: Deliver) -> None:
    outcome = _land(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": GOOD + GOOD}))
    assert (outcome.delivered, outcome.landed, outcome.duplicate) == (2, 1, 1)


def test_64_bit_negative_ids_stay_apart(workspace: Workspace, deliver: Deliver) -> None:
    rows = "".join(f"{i},8507,1970,,,0,0,,,,s{i},M,0,,0,,0\n" for i in (-3210373572193940939, -3210373572193940938, 9223372036854775807))
    header = (
        "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,race_concept_id,ethnicity_concept_id,location_id,provider_id,"
        "care_site_id,person_source_value,gender_source_value,gender_source_concept_id,race_source_value,race_source_concept_id,"
        "ethnicity_source_value,ethnicity_source_concept_id\n"
    )
    outcome = _land(workspace, deliver(workspace.root, "h04", "omop", "d1", {"person.csv": header + rows}))
    assert (outcome.landed, workspace.vault.count()) == (3, 3)


def test_quarantine_never_holds_a_value_of_the_record(workspace: Workspace, deliver: Deliver) -> None:
    bad = '{"resourceType":"Patient","id":"SECRET-ID","birthDate":"SECRET-DATE","gender":7,"name":[{"family":"SECRET-NAME"}]}\n'
    _land(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": GOOD + bad}))
    assert "SECRET" not in json.dumps(workspace.deliveries.quarantined())


@pytest.mark.scenario("16 parser segfault, abort, hang")
def test_poison_record_that_aborts_the_parser_costs_only_itself(
    workspace: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser is made to abort (SIGABRT, as a segfaulting library would) on one record of 300."""
    from assets.formats import sandbox
    from assets.landing import land as landing

    real = sandbox.run_child

    def poisoned(job: dict[str, Any]) -> sandbox.ChildResult:
        return real({**job, "options": {**job["options"], "test_crash_on": '"poison"'}})

    monkeypatch.setattr(landing, "run_child", poisoned)
    lines = [GOOD.replace("good", f"p{n}") for n in range(299)]
    lines.insert(120, GOOD.replace("good", "poison"))
    outcome = _land(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": "".join(lines)}))
    (row,) = workspace.deliveries.quarantined()
    assert (row["reason"], row["row_number"]) == ("parser_crash", 121)
    assert (outcome.delivered, outcome.landed) == (300, 299)
