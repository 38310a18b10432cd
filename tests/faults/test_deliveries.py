"""Scenarios 2, 3, 6, 12 and 19: deliveries that are half there, late, silent, sent again, in any order, or full of hostile text. No dbt but once."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from assets.feeds.intake import land_waiting
from assets.governance.accounts import add_up
from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace
from assets.sites.site import SiteError, load_sites
from tests.conftest import CONSENT_HEADER, CONSENT_SITE, Biodam, write_delivery
from tests.integration.test_incremental import SITE

PATIENT = '{"resourceType":"Patient","id":"%s","birthDate":"1970-01-01"}\n'
DAY = date(2026, 1, 1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def rows(workspace: Workspace, key: str) -> pa.Table:
    return DeltaTable(str(workspace.lake.table(key))).to_pyarrow_table()


def states(workspace: Workspace) -> dict[str, tuple[str, str | None]]:
    return {f"{r['site']}/{r['delivery_id']}": (r["state"], r["reason"]) for r in workspace.deliveries.all_rows()}


# --- half uploaded -------------------------------------------------------------------------------------------------------------------


@pytest.mark.scenario("02 half-uploaded delivery")
def test_half_uploaded_delivery_waits_for_its_manifest_and_then_lands_once(workspace: Workspace) -> None:
    folder = write_delivery(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT % "a" * 1})
    manifest = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").unlink()
    write_delivery(workspace.root, "h01", "fhir_r4", "d1", {"Patient.ndjson": PATIENT % "b"})
    landed, failures = land_waiting(workspace, "fhir_r4")
    assert ([str(done.key) for done in landed], failures) == (["h01/fhir_r4/d1"], []), (
        "the other site did not land, or the open delivery was touched"
    )
    (folder / "manifest.json").write_bytes(manifest)
    for _ in range(2):
        land_waiting(workspace, "fhir_r4")
    assert states(workspace) == {"h01/d1": ("landed", None), "h02/d1": ("landed", None)}
    assert rows(workspace, "raw/fhir/patient").num_rows == 2


@pytest.mark.scenario("02 half-uploaded delivery")
@pytest.mark.parametrize("harm", ["manifest cut", "file missing", "file cut"])
def test_delivery_closed_too_early_is_refused_and_may_be_sent_again_under_its_id(workspace: Workspace, harm: str) -> None:
    """A refused delivery that was sent again used to end in the landing store with no state that leads on: its records were nowhere."""
    files: dict[str, bytes | str] = {"Patient.ndjson": PATIENT % "a" + PATIENT % "b"}
    for _ in range(2):  # twice in a row: the id is not spent by the second attempt either
        folder = write_delivery(workspace.root, "h02", "fhir_r4", "d1", files)
        if harm == "manifest cut":
            (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes()[:40])
        elif harm == "file missing":
            (folder / "Patient.ndjson").unlink()
        else:
            (folder / "Patient.ndjson").write_bytes((folder / "Patient.ndjson").read_bytes()[:9])
        assert land_waiting(workspace, "fhir_r4") == ([], [])
    write_delivery(workspace.root, "h02", "fhir_r4", "d1", files)
    landed, failures = land_waiting(workspace, "fhir_r4")
    assert (len(landed), failures) == (1, [])
    reason = {"manifest cut": "manifest_invalid", "file missing": "file_missing", "file cut": "size_mismatch"}[harm]
    assert states(workspace) == {
        "h02/d1": ("landed", None), "h02/d1~refused1": ("refused", reason), "h02/d1~refused2": ("refused", reason),
    }  # fmt: skip
    assert rows(workspace, "raw/fhir/patient").num_rows == 2
    assert add_up(workspace, day=DAY).conserved
    kept = {p.parent.name for p in (workspace.lake.landing / "refused").rglob("manifest.json")}
    assert kept == {"d1~refused1", "d1~refused2"}, "what was refused is kept for whoever asks"


@pytest.mark.scenario("02 half-uploaded delivery")
def test_delivery_refused_by_its_content_may_be_sent_again_too(workspace: Workspace) -> None:
    """Refused while landing (a count that is wrong), so its bytes lie in the landing store already."""
    files: dict[str, bytes | str] = {"Patient.ndjson": PATIENT % "a"}
    folder = write_delivery(workspace.root, "h02", "fhir_r4", "d1", files)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["records"] = 2
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert land(workspace, admit(workspace, folder)).reason == "count_mismatch"
    done = land(workspace, admit(workspace, write_delivery(workspace.root, "h02", "fhir_r4", "d1", files)))
    assert (done.landed, states(workspace)["h02/d1"]) == (1, ("landed", None))


# --- silence -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.scenario("03 silent site")
def test_silent_site_is_shown_and_nobody_waits_for_it(tmp_path: Path) -> None:
    from assets.governance.deliveries import _fresh

    sites = tmp_path / "sites"
    sites.mkdir()
    for name in ("h90", "h91"):
        (sites / f"{name}.toml").write_text(
            f'site = "{name}"\nname = "{name}"\nkind = "hospital"\nlegal_basis = "published"\nowner = "a@b.invalid"\nexpected_every_days = 7\n[feeds.fhir_r4]\n'
        )
    workspace = Workspace(tmp_path / "lake", sites_folder=sites)
    write_delivery(workspace.root, "h90", "fhir_r4", "d1", {"Patient.ndjson": PATIENT % "a"})
    landed, _ = land_waiting(workspace, "fhir_r4")
    assert len(landed) == 1, "a site that says nothing kept another one waiting"
    received = date.fromisoformat(str(workspace.deliveries.all_rows()[0]["received_at"])[:10])
    seen = {}
    for days in (1, 30):
        accounts = add_up(workspace, day=received + timedelta(days=days))
        for site in ("h90", "h91"):
            check = _fresh(site, [f for f in accounts.feeds if f.site == site])
            seen[site, days] = (check.passed, check.severity, check.metadata["late"].text, check.metadata["never_delivered"].text)
    warn = dg.AssetCheckSeverity.WARN
    assert seen == {
        ("h90", 1): (True, warn, "none", "none"),
        ("h90", 30): (False, warn, "fhir_r4", "none"),
        ("h91", 1): (False, warn, "none", "fhir_r4"),
        ("h91", 30): (False, warn, "none", "fhir_r4"),
    }


# --- every order ---------------------------------------------------------------------------------------------------------------------


def _table(header: str, *lines: str) -> bytes:
    return "\r\n".join([header, *lines, ""]).encode("cp949")


def _history(n: int) -> list[Mapping[str, bytes]]:
    """Four deliveries of hospital n: two patients with records; corrections; a deletion and a record that changes its person; a return to the first."""
    p, d, lab = (
        "등록번호,주민번호,생년월일,성별,삭제",
        "진단번호,등록번호,상병코드,진단일,삭제",
        "결과번호,등록번호,검사코드,검사일시,결과,단위,삭제",
    )
    one, two = f"70{n:02d}01-1000001".replace("7000", "7013"), f"71{n:02d}01-2000001".replace("7100", "7113")
    return [
        {
            "patient.csv": _table(p, f"P1,{one},19700101,남,N", f"P2,{two},19710101,여,N"),
            "diagnosis.csv": _table(d, "D1,P1,E11.9,2020-03-01,N", "D2,P2,E11.9,2020-03-02,N"),
            "lab_result.csv": _table(lab, "L1,P1,A1C,2021-04-01 08:00:00,8.1,%,N", "L2,P2,A1C,2021-04-02 08:00:00,9.1,%,N"),
        },
        {"lab_result.csv": _table(lab, "L1,P1,A1C,2021-04-01 08:00:00,6.5,%,N"), "diagnosis.csv": _table(d, "D3,P1,I10,2020-05-01,N")},
        {"diagnosis.csv": _table(d, "D2,P2,E11.9,2020-03-02,Y", "D1,P2,E11.9,2020-03-01,N")},
        {"lab_result.csv": _table(lab, "L1,P1,A1C,2021-04-01 08:00:00,8.1,%,N", "L2,P2,A1C,2021-04-02 08:00:00,9.1,%,Y")},
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.scenario("06 late and out of order in all orders")
def test_four_deliveries_in_each_of_their_24_orders_end_in_the_same_marts(tmp_path: Path) -> None:
    """24 hospitals with the same history, each in another order, in one lake: one build, and every hospital must read alike."""
    sites = tmp_path / "sites"
    sites.mkdir()
    orders = list(itertools.permutations(range(4)))
    names = [f"h{70 + n}" for n in range(24)]
    published = SITE.replace('legal_basis = "consented"', 'legal_basis = "published"')
    for name in names:
        (sites / f"{name}.toml").write_text(published.replace('site = "h90"', f'site = "{name}"'), encoding="utf-8")
    (sites / "c90.toml").write_text(CONSENT_SITE, encoding="utf-8")
    biodam = Biodam(tmp_path / "lake", {"BIODAM_SITES": str(sites), "BIODAM_AS_OF": "2024-01-01"})
    workspace = Workspace(biodam.lake, sites_folder=sites)
    for n, (name, order) in enumerate(zip(names, orders, strict=True)):
        history = _history(n)
        for number in order:
            write_delivery(biodam.lake, name, "emr_csv", f"d{number}", history[number], sequence=number + 1)
            land_waiting(workspace, "emr_csv")
    write_delivery(biodam.lake, "c90", "consent", "k1", {"event.csv": CONSENT_HEADER})
    biodam("run")
    assert biodam.one("select count(*) from person") == 48, "people of two hospitals were taken for one"
    by_site = {name: _facts(biodam, workspace, name) for name in names}
    expected = [("F", "E11.9", "2020-03-01"), ("M", "4548-4", "8.1"), ("M", "I10", "2020-05-01")]
    assert {name: facts for name, facts in by_site.items() if facts != expected} == {}


def _facts(biodam: Biodam, workspace: Workspace, site: str) -> list[tuple[str, str, str]]:
    """(sex, code, day or value) of every fact about the people of one hospital."""
    people = rows(workspace, "raw/people/sighting").to_pylist()
    ids = ", ".join(str(r["person_id"]) for r in people if r["site"] == site)
    return biodam.query(f"""
        select case gender_concept_id when 8507 then 'M' else 'F' end, condition_source_value, condition_start_date::varchar
        from condition_occurrence join person using (person_id) where person_id in ({ids})
        union all
        select case gender_concept_id when 8507 then 'M' else 'F' end, '4548-4', value_as_number::varchar
        from measurement join person using (person_id) where person_id in ({ids})
        order by all
    """)


# --- hostile JSON --------------------------------------------------------------------------------------------------------------------


@pytest.mark.scenario("12 JSON depth, duplicate keys, NaN, lone surrogates, 6,000 digits")
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('{"resourceType":"Patient","id":"\\ud800"}', "invalid_json"),
        ('{"resourceType":"Patient","id":"x","gender":"\\udfff\\ud800"}', "invalid_json"),
        ('{"resourceType":"Observation","id":"x","status":"final","subject":{"reference":"Patient/a"},"valueQuantity":{"value":%s}}' % ("9" * 6000), "value_not_finite"),
        ('{"resourceType":"Observation","id":"x","status":"final","subject":{"reference":"Patient/a"},"valueQuantity":{"value":1e999}}', "value_not_finite"),
        ('{"resourceType":"Observation","id":"x","status":"final","subject":{"reference":"Patient/a"},"valueQuantity":{"value":-Infinity}}', "invalid_json"),
        ('{"resourceType":"Patient","id":"x","birthDate":"%s"}' % ("1" * 6000), "invalid_date"),
    ],
    ids=["lone surrogate in an id", "surrogates the wrong way round", "6,000 digits", "1e999", "-Infinity", "a date of 6,000 digits"],
)  # fmt: skip
def test_hostile_json_costs_its_record_only(workspace: Workspace, bad: str, reason: str) -> None:
    text = PATIENT % "a" + bad + "\n" + PATIENT % "b"
    done = land(workspace, admit(workspace, write_delivery(workspace.root, "h02", "fhir_r4", "d1", {"all.ndjson": text})))
    assert (done.delivered, done.landed, done.quarantined) == (3, 2, 1)
    (row,) = workspace.deliveries.quarantined()
    assert (row["reason"], row["row_number"]) == (reason, 2)
    assert "999999" not in json.dumps(row)


@pytest.mark.scenario("12 JSON depth, duplicate keys, NaN, lone surrogates, 6,000 digits")
def test_number_of_6000_digits_in_a_bundle_costs_its_entry_only(workspace: Workspace) -> None:
    """The counter gave the whole document up where Python's int() does."""
    value = {
        "resourceType": "Observation",
        "id": "x",
        "status": "final",
        "subject": {"reference": "Patient/a"},
        "valueQuantity": {"value": 7},
    }
    entries = [{"resource": json.loads(PATIENT % "a")}, {"resource": value}, {"resource": json.loads(PATIENT % "b")}]
    text = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).replace('"value": 7', '"value": ' + "9" * 6000)
    done = land(workspace, admit(workspace, write_delivery(workspace.root, "h02", "fhir_r4", "d1", {"all.json": text})))
    assert (done.delivered, done.landed, done.quarantined) == (3, 2, 1)
    assert [q["reason"] for q in workspace.deliveries.quarantined()] == ["value_not_finite"]


# --- hostile names -------------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "'; drop table person; --", '"; drop schema omop; --', "$(touch /tmp/biodam_owned)", "`id`", "../../../etc/passwd", "<script>alert(1)</script>",
    "{{ config(materialized='table') }}", "%s%n{0}", "\u202egnp.exe", "=cmd|'/c calc'!A0", "NULL", "nan", "a" * 300, "é\u0301", "👩‍🔬", "--", "'", "\\", "a\tb",
]  # fmt: skip


@pytest.mark.scenario("19 hostile names")
def test_hostile_identifiers_are_text_and_stay_apart(workspace: Workspace) -> None:
    text = "".join(json.dumps({"resourceType": "Patient", "id": name, "gender": "female"}) + "\n" for name in HOSTILE)
    text += "".join(
        json.dumps(
            {
                "resourceType": "Condition",
                "id": f"c-{n}",
                "subject": {"reference": f"Patient/{n}"},
                "code": {"coding": [{"system": n, "code": n}]},
            }
        )
        + "\n"
        for n in HOSTILE
    )
    done = land(workspace, admit(workspace, write_delivery(workspace.root, "h02", "fhir_r4", "d1", {"all.ndjson": text})))
    assert done.delivered == 2 * len(HOSTILE) == done.landed + done.quarantined
    assert done.rows["patient"] == len(HOSTILE), [q["rule"] for q in workspace.deliveries.quarantined()]
    assert len(set(rows(workspace, "raw/fhir/patient")["person_id"].to_pylist())) == len(HOSTILE)
    codes = {coding["code"] for codings in rows(workspace, "raw/fhir/condition")["codings"].to_pylist() for coding in codings or ()}
    assert codes <= set(HOSTILE), "a code was changed on its way"
    assert not Path("/tmp/biodam_owned").exists()


@pytest.mark.scenario("19 hostile names")
@pytest.mark.parametrize(
    "name", ["../escape", "d1;rm -rf", "한글", "<b>", "d" * 300 if os.name != "nt" else "d", "a b", "$(id)", ".hidden..", "-rf"]
)
def test_hostile_delivery_id_is_refused_by_name_and_nothing_escapes(workspace: Workspace, name: str) -> None:
    folder = workspace.lake.inbox / "h02" / "fhir_r4" / name.replace("/", "_")[:200]
    folder.mkdir(parents=True)
    (folder / "Patient.ndjson").write_text(PATIENT % "a")
    entry = {"path": "Patient.ndjson", "sha256": "0" * 64, "bytes": 1}
    manifest = {"site": "h02", "feed": "fhir_r4", "delivery_id": name, "sequence": 1, "files": [entry]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    land_waiting(workspace, "fhir_r4")
    (row,) = workspace.deliveries.all_rows()
    assert row["state"] == "refused"
    assert all(c.isascii() and (c.isalnum() or c in "_.-~") for c in row["delivery_id"])
    outside = [
        p for p in workspace.root.rglob("*") if p.is_file() and not p.is_relative_to(workspace.lake.landing) and p.suffix in (".ndjson",)
    ]
    assert outside == []


@pytest.mark.scenario("19 hostile names")
@pytest.mark.parametrize(
    "place", ["../../h02/fhir_r4/d1/x.ndjson", "/etc/passwd", "a/../../b.ndjson", "..\\b.ndjson", "x\0.ndjson", "manifest.json"]
)
def test_hostile_file_name_in_a_manifest_is_refused(workspace: Workspace, place: str) -> None:
    folder = write_delivery(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT % "a"})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["path"] = place
    (folder / "manifest.json").write_text(json.dumps(manifest))
    land_waiting(workspace, "fhir_r4")
    assert states(workspace) == {"h02/d1": ("refused", "manifest_invalid")}
    assert "etc" not in str(workspace.deliveries.all_rows()[0]["detail"])


@pytest.mark.scenario("19 hostile names")
def test_hostile_columns_are_no_sql(workspace: Workspace) -> None:
    columns = [n for n in HOSTILE if not set(n) & set(',"\t')]
    text = "Id,BIRTHDATE,GENDER," + ",".join(columns) + "\n" + "a,1970-01-01,M," + ",".join("1" for _ in columns) + "\n"
    done = land(workspace, admit(workspace, write_delivery(workspace.root, "h03", "synthea_csv", "d1", {"patients.csv": text})))
    assert (done.landed, done.quarantined) == (1, 0)
    assert rows(workspace, "raw/synthea_csv/patients").num_rows == 1


@pytest.mark.scenario("19 hostile names")
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("h90.toml", 'site = "../h90"\n'),
        ("h90.toml", "site = \"h90'; drop table site; --\"\n"),
        ("h90;x.toml", 'site = "h90;x"\n'),
        ("h90.toml", 'site = "h91"\n'),
        ("h90.toml", "site = !!python/object/apply:os.system ['touch /tmp/biodam_owned']\n"),
        ("h90.toml", 'site = "h90"\nname = "{{ 7*7 }}"\nkind = "hospital"\nlegal_basis = "published"\nowner = "a@b.invalid"\n[feeds."fhir_r4; x"]\n'),
    ],
)  # fmt: skip
def test_hostile_site_file_is_refused_with_its_name(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(SiteError) as caught:
        load_sites(tmp_path)
    assert file in str(caught.value)
    assert not Path("/tmp/biodam_owned").exists()
