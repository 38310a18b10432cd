"""Every raw table has all it needs on the way to a model, and every public model says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from assets.contracts.table import all_entities, families, load_contract
from assets.dbt_manifest import load_manifest, models, raw_key
from assets.privacy.scrub import load_rules
from assets.sites.feed_kinds import FEED_KINDS

RAW_ONLY = {
    # landed and kept, read by no model yet; a line here is a decision that nobody needs it so far
    "raw/ccda/document_part": "accounts of what was delivered; it holds nothing about people",
    "raw/claims_hira/linkage": "ties person keys to people in the vault; says nothing else",
    "raw/claims_nhis/linkage": "ties person keys to people in the vault; says nothing else",
    "raw/death_registry/linkage": "ties person keys to people in the vault; says nothing else",
    "raw/fhir/diagnostic_report": "its results are Observations, which are read",
    "raw/fhir/resource": "resource types that no model reads; kept so that nothing delivered is lost",
    "raw/hl7_v2/message": "accounts of what was delivered; it holds nothing about people",
    "raw/omop/cdm_source": "describes the sender's database, not ours",
    "raw/omop/concept_relationship": "a sender's vocabulary does not change ours",
    "raw/omop/other": "tables of the CDM that no model reads; kept so that nothing delivered is lost",
    "raw/omop/visit_detail": "no mart asks for parts of visits",
    "raw/public_statistics/body_measurement": "measures of people without a number; no mart asks for a reference of body sizes",
    "raw/synthea_csv/careplans": "no OMOP table holds care plans",
    "raw/synthea_csv/claims": "claims are their own programme",
    "raw/synthea_csv/claims_transactions": "claims are their own programme",
    "raw/synthea_csv/devices": "no mart asks for devices",
    "raw/synthea_csv/imaging_studies": "no mart asks for imaging",
    "raw/synthea_csv/payer_transitions": "claims are their own programme",
    "raw/synthea_csv/payers": "claims are their own programme",
    "raw/synthea_csv/supplies": "no mart asks for supplies",
}


@pytest.fixture(scope="module")
def manifest() -> Mapping[str, Any]:
    return load_manifest()


def test_every_entity_has_an_allow_list() -> None:
    """Without a rule nothing of a table passes the door, so a contract without rules is a table that stays empty."""
    written_by_landing = {"people": {"sighting", "link"}, "fhir": {"tombstone"}}
    missing = [
        f"{family}.toml [{name}]"
        for family in families()
        for name in load_contract(family).entities
        if name not in written_by_landing.get(family, ()) and name not in (load_rules(family) if family != "people" else {})
    ]
    assert missing == []


def test_every_column_has_exactly_one_rule() -> None:
    wrong = []
    for family in families():
        if family == "people":
            continue
        rules = load_rules(family)
        for name, entity in load_contract(family).entities.items():
            if name in rules and {c.name for c in entity.columns} != set(rules[name].rules):
                wrong.append(f"{family}/{name}: {sorted({c.name for c in entity.columns} ^ set(rules[name].rules))}")
    assert wrong == []


def test_every_entity_is_a_dbt_source(manifest: Mapping[str, Any]) -> None:
    sources = {raw_key(s) for s in manifest["sources"].values()}
    assert [e.key for e in all_entities() if e.key not in sources and e.key not in RAW_ONLY] == []


def test_every_raw_source_has_a_contract(manifest: Mapping[str, Any]) -> None:
    """A source without a contract is a view that the dbt plugin never makes."""
    known = {e.key for e in all_entities()}
    assert sorted(k for s in manifest["sources"].values() if (k := raw_key(s)) is not None and k not in known) == []


def test_every_entity_is_read_by_a_staging_model_or_listed_with_a_reason(manifest: Mapping[str, Any]) -> None:
    read = set()
    for model in models(manifest):
        if "staging" in model["fqn"][1:2]:
            read |= {raw_key(manifest["sources"][i]) for i in model["depends_on"]["nodes"] if i.startswith("source.")}
    unread = {e.key for e in all_entities()} - read
    assert sorted(unread - RAW_ONLY.keys()) == []
    assert sorted(RAW_ONLY.keys() - unread) == [], "read by a model now, or gone: take it off the list"


def test_every_feed_has_a_contract_and_a_reader() -> None:
    import importlib

    from assets.formats.child import READERS

    for kind in FEED_KINDS.values():
        load_contract(kind.family)
        for name in set(kind.formats.values()):
            module, _, reader = READERS[name].partition(":")
            assert hasattr(importlib.import_module(module), reader), f"{name}: {module} has no {reader}"


def test_only_staging_and_consent_read_raw_tables(manifest: Mapping[str, Any]) -> None:
    wrong = []
    for model in models(manifest):
        raw = [i for i in model["depends_on"]["nodes"] if i.startswith("source.") and raw_key(manifest["sources"][i])]
        if raw and "staging" not in model["fqn"][1:2] and model["name"] != "consent_relation":
            wrong.append(f"{model['name']} reads {', '.join(raw)}")
    assert wrong == []


def test_no_mart_reads_another_programmes_mart(manifest: Mapping[str, Any]) -> None:
    wrong = []
    for model in models(manifest):
        if model["fqn"][1:2] != ["marts"]:
            continue
        for parent_id in model["depends_on"]["nodes"]:
            parent = manifest["nodes"].get(parent_id)
            if parent is not None and parent["fqn"][1:2] == ["marts"] and parent["fqn"][2] != model["fqn"][2]:
                wrong.append(f"{model['name']} reads {parent['name']}")
    assert wrong == []


def test_every_published_model_has_a_contract_and_describes_itself(manifest: Mapping[str, Any]) -> None:
    from assets.serving.published import is_published

    wrong = []
    for model in models(manifest):
        if not is_published(model):
            continue
        if not model["config"].get("contract", {}).get("enforced"):
            wrong.append(f"{model['name']}: contract is not enforced")
        if not model.get("description"):
            wrong.append(f"{model['name']}: no description")
        wrong += [f"{model['name']}.{c['name']}: no description" for c in model["columns"].values() if not c.get("description")]
        if not model["columns"]:
            wrong.append(f"{model['name']}: no columns")
    assert wrong == []


_BANNED = {
    "now(": "a build would differ from its repetition",
    "current_date": "a build would differ from its repetition",
    "current_timestamp": "a build would differ from its repetition",
    "random(": "a build would differ from its repetition",
}


def test_no_model_asks_the_clock(manifest: Mapping[str, Any]) -> None:
    import re

    comment = re.compile(r"\{#.*?#\}|--[^\n]*|/\*.*?\*/", re.DOTALL)
    wrong = []
    for model in models(manifest):
        code = comment.sub(" ", model["raw_code"]).lower()
        wrong += [f"{model['name']}: {word} ({why})" for word, why in _BANNED.items() if re.search(rf"(?<![\w.]){re.escape(word)}", code)]
    assert wrong == []


def test_no_model_uses_is_distinct_from_inside_or(manifest: Mapping[str, Any]) -> None:
    """DuckDB 1.5.5 loses rows over several files, or the instance (DESIGN section 3)."""
    import re

    pattern = re.compile(r"\bor\b[^()]*\bis\s+(?:not\s+)?distinct\s+from|\bis\s+(?:not\s+)?distinct\s+from\b[^()]*\bor\b", re.IGNORECASE)
    assert [m["name"] for m in models(manifest) if pattern.search(m["raw_code"])] == []
