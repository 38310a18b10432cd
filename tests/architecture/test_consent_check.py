"""The consent check names every model that goes round consented_rows. Each test plants one way round in a copy of the real manifest."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from assets.contracts.table import all_entities
from assets.dbt_manifest import load_manifest
from assets.governance.consent_check import fingerprint, models_going_round
from assets.governance.consent_exceptions import EXCEPTIONS
from assets.lake.plan import bucket_predicate
from tests.conftest import REPOSITORY

Manifest = dict[str, Any]
STAGED = "model.biodam.stg_fhir__conditions"


@pytest.fixture
def manifest() -> Manifest:
    return copy.deepcopy(dict(load_manifest()))


def _named(manifest: Manifest) -> set[str]:
    return {v.model for v in models_going_round(manifest)}


def test_the_project_has_no_model_that_goes_round_consent() -> None:
    assert [str(v) for v in models_going_round(load_manifest())] == []


def _without_macro(manifest: Manifest) -> None:
    node = manifest["nodes"][STAGED]
    node["raw_code"] = "select * from {{ source('raw_fhir', 'condition') }}"
    node["depends_on"] = {"macros": [], "nodes": ["source.biodam.raw_fhir.condition"]}


def _raw_rows_of_people(manifest: Manifest) -> None:
    node = manifest["nodes"][STAGED]
    node["raw_code"] = node["raw_code"].replace("consented_rows", "raw_rows")


def _unconsented_rows(manifest: Manifest) -> None:
    node = manifest["nodes"][STAGED]
    node["raw_code"] = node["raw_code"].replace("consented_rows", "unconsented_rows")
    node["depends_on"]["macros"] = ["macro.biodam.unconsented_rows"]


def _macro_of_ones_own(manifest: Manifest) -> None:
    manifest["macros"]["macro.biodam.everybody"] = {
        "package_name": "biodam", "macro_sql": "{% macro everybody() %}{{ unconsented_rows('fhir', 'condition') }}{% endmacro %}",
        "depends_on": {"macros": ["macro.biodam.unconsented_rows"]},
    }  # fmt: skip
    manifest["nodes"][STAGED]["depends_on"]["macros"].append("macro.biodam.everybody")


def _macro_that_names_the_relation(manifest: Manifest) -> None:
    manifest["macros"]["macro.biodam.everybody"] = {
        "package_name": "biodam", "macro_sql": "{% macro everybody() %}select * from raw_fhir.condition{% endmacro %}", "depends_on": {"macros": []},
    }  # fmt: skip
    manifest["nodes"][STAGED]["depends_on"]["macros"].append("macro.biodam.everybody")


def _relation_by_name(manifest: Manifest) -> None:
    manifest["nodes"][STAGED]["raw_code"] += "\nunion all select * from raw_fhir.condition"


def _file_by_name(manifest: Manifest) -> None:
    manifest["nodes"][STAGED]["raw_code"] += "\nunion all select * from read_parquet('x/*.parquet')"


def _second_table(manifest: Manifest) -> None:
    node = manifest["nodes"][STAGED]
    node["depends_on"]["nodes"].append("source.biodam.raw_fhir.encounter")


def _only_in_a_comment(manifest: Manifest) -> None:
    node = manifest["nodes"][STAGED]
    node["raw_code"] = "-- {{ consented_rows('fhir', 'condition') }}\nselect 1 as person_id"
    node["depends_on"]["macros"] = []


@pytest.mark.parametrize(
    "change",
    [
        _without_macro, _raw_rows_of_people, _unconsented_rows, _macro_of_ones_own, _macro_that_names_the_relation, _relation_by_name, _file_by_name,
        _second_table, _only_in_a_comment,
    ],
    ids=lambda c: c.__name__.strip("_"),
)  # fmt: skip
def test_model_that_goes_round_is_named(manifest: Manifest, change: Callable[[Manifest], None]) -> None:
    change(manifest)
    assert _named(manifest) == {"stg_fhir__conditions"}


def test_model_outside_staging_that_reads_a_raw_table_is_named(manifest: Manifest) -> None:
    person = manifest["nodes"]["model.biodam.person"]
    person["depends_on"]["nodes"].append("source.biodam.raw_fhir.patient")
    assert _named(manifest) == {"person"}


def test_person_level_model_that_rests_on_nothing_consented_is_named(manifest: Manifest) -> None:
    person = manifest["nodes"]["model.biodam.person"]
    person["depends_on"]["nodes"] = []
    person["columns"].setdefault("person_id", {"name": "person_id"})
    assert "person" in _named(manifest)


def test_compiled_sql_that_lost_its_consent_join_is_named(manifest: Manifest) -> None:
    """The macro could be emptied while every model still calls it; the compiled text shows it."""
    tied = """
        select * from (
            select r.person_id from (select person_id from "memory"."raw_fhir"."condition") as r
            where exists (select 1 from "memory"."standard"."consent_relation" as c where c.person_id = r.person_id and c.scope_code = 'clinical')
        ) as condition
    """
    manifest["nodes"][STAGED]["compiled_code"] = tied
    assert _named(manifest) == set()
    manifest["nodes"][STAGED]["compiled_code"] = 'select * from (select person_id from "memory"."raw_fhir"."condition") as condition'
    assert _named(manifest) == {"stg_fhir__conditions"}


# --- reviewed exceptions: the destruction manifest reads people who withdrew, and nothing more than was reviewed -----------------------

EXCEPTION, MANIFEST_TABLE = "model.biodam.stg_lims__withdrawn_samples", "model.biodam.gov_specimen_destruction"


def _of_exceptions(manifest: Manifest) -> str:
    return "\n".join(str(v) for v in models_going_round(manifest))


def test_the_list_of_exceptions_is_the_one_that_was_reviewed() -> None:
    """A name or a column more is a decision of the governance board: write it here too."""
    assert {name: sorted(e.reads) for name, e in EXCEPTIONS.items()} == {
        "stg_lims__withdrawn_samples": ["raw/lims/aliquot", "raw/lims/specimen"],
        "stg_lims__withdrawn_events": ["raw/lims/custody", "raw/lims/disposal"],
        "gov_specimen_destruction": [],
        "gov_specimen_withdrawals": [],
    }
    assert "person_id" not in EXCEPTIONS["gov_specimen_destruction"].columns
    assert EXCEPTIONS["gov_specimen_withdrawals"].columns == {"site", "status", "sample_count"}


def test_a_model_that_reads_an_exception_is_named(manifest: Manifest) -> None:
    manifest["nodes"]["model.biodam.specimen_inventory"]["depends_on"]["nodes"].append(MANIFEST_TABLE)
    assert "specimen_inventory: reads gov_specimen_destruction, which only the reviewed exceptions may" in _of_exceptions(manifest)


def test_a_model_that_uses_the_door_of_the_exceptions_is_named(manifest: Manifest) -> None:
    node = manifest["nodes"][STAGED]
    node["raw_code"] = node["raw_code"].replace("consented_rows", "withdrawn_rows")
    node["depends_on"]["macros"] = ["macro.biodam.withdrawn_rows"]
    assert _named(manifest) == {"stg_fhir__conditions"}


def test_an_exception_that_shows_an_attribute_of_a_person_is_named(manifest: Manifest) -> None:
    manifest["nodes"][MANIFEST_TABLE]["columns"]["person_id"] = {"name": "person_id"}
    node = manifest["nodes"][EXCEPTION]
    node["raw_code"] = node["raw_code"].replace("    record_id as sample_id,", "    record_id as sample_id,\n    sample_type_code,", 1)
    found = _of_exceptions(manifest)
    assert "gov_specimen_destruction: shows person_id, which was not reviewed" in found
    assert "stg_lims__withdrawn_samples: shows sample_type_code, which was not reviewed" in found


def test_an_exception_that_reads_another_table_is_named(manifest: Manifest) -> None:
    node = manifest["nodes"][EXCEPTION]
    node["raw_code"] += "union all select * from {{ withdrawn_rows('lims', 'donor', scope='specimen') }} as donor"
    node["depends_on"]["nodes"].append("source.biodam.raw_lims.donor")
    assert "reads raw/lims/donor, which was not reviewed" in _of_exceptions(manifest)


def test_an_exception_that_reads_everybody_is_named(manifest: Manifest) -> None:
    node = manifest["nodes"][EXCEPTION]
    node["raw_code"] = node["raw_code"].replace("withdrawn_rows('lims', 'aliquot'", "unconsented_rows('lims', 'aliquot'")
    assert "reads with unconsented_rows() for raw/lims/aliquot, not with withdrawn_rows()" in _of_exceptions(manifest)


def test_an_exception_that_is_opened_is_named(manifest: Manifest) -> None:
    config = manifest["nodes"][MANIFEST_TABLE]["config"]
    config["access"], config["group"], config["meta"] = "public", "govern", {}
    found = _of_exceptions(manifest)
    assert "outside the group destruction" in found
    assert "its access is not private" in found
    assert "would be published" in found


def test_compiled_exception_that_is_not_tied_to_withdrawals_is_named(manifest: Manifest) -> None:
    tied = (
        "select 1 from raw_lims.specimen as r where exists ("
        "select 1 from standard.consent_withdrawal as w where w.person_id = r.person_id and w.scope_code = 'specimen')"
    )
    manifest["nodes"][EXCEPTION]["compiled_code"] = tied
    assert _named(manifest) == set()
    manifest["nodes"][EXCEPTION]["compiled_code"] = tied.replace("consent_withdrawal", "anything")
    assert "reads raw/lims/specimen without consent_withdrawal" in _of_exceptions(manifest)


def test_the_buckets_of_a_run_make_no_other_query() -> None:
    """Otherwise the first small build after each full one would parse all queries again, 4 CPU s."""
    query = "select * from raw_fhir.condition as r where {} and exists (select 1 from consent_relation as c where {})"
    marks = set()
    for buckets in (None, [3], [3, 4, 5], [3, 9]):
        template = bucket_predicate(buckets) or "true"
        marks.add(fingerprint(query.format(template.replace("#", "r.person_bucket"), template.replace("#", "person_bucket"))))
    assert len(marks) == 1
    assert fingerprint(query.format("true", "false")) not in marks


def test_only_what_consent_and_destruction_need_lands_of_people_who_have_withdrawn() -> None:
    """A line more in a contract is a decision of the governance board."""
    to_destroy = {key for reviewed in EXCEPTIONS.values() for key in reviewed.reads}
    models = (REPOSITORY / "dbt_project" / "models").rglob("*.sql")
    calls = re.findall(r"unconsented_rows\('(\w+)', '(\w+)'\)", "".join(path.read_text(encoding="utf-8") for path in models))
    of_consent = {f"raw/{family}/{entity}" for family, entity in calls}
    assert of_consent == {
        "raw/cdisc_odm/consent_event", "raw/consent/event", "raw/fhir/consent", "raw/people/sighting", "raw/redcap/consent_event",
    }  # fmt: skip
    assert {e.key for e in all_entities() if e.lands_after_withdrawal} == to_destroy | of_consent | {"raw/people/link"}
