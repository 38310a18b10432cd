"""`biodam vocabulary load`: an Athena export, strictly read, all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable

from assets.feeds.vocabulary import VocabularyError, load_athena
from assets.landing.workspace import Workspace

CONCEPT = (
    "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code\tvalid_start_date\tvalid_end_date\tinvalid_reason\n"
    '201826\tType 2 "diabetes\tCondition\tSNOMED\tClinical Finding\tS\t44054006\t19700101\t20991231\t\n'
    "1\tOld\tCondition\tSNOMED\tClinical Finding\t\t007\t19700101\t20000101\tD\n"
)
VOCABULARY = (
    "vocabulary_id\tvocabulary_name\tvocabulary_reference\tvocabulary_version\tvocabulary_concept_id\nSNOMED\tSnomed CT\tx\tv1\t44819097\n"
)
RELATIONSHIP = "concept_id_1\tconcept_id_2\trelationship_id\tvalid_start_date\tvalid_end_date\tinvalid_reason\n1\t201826\tMaps to\t19700101\t20991231\t\n"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "athena"
    folder.mkdir()
    for name, text in (("CONCEPT", CONCEPT), ("VOCABULARY", VOCABULARY), ("CONCEPT_RELATIONSHIP", RELATIONSHIP)):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    (folder / "CONCEPT_CPT4.csv").write_text("not ours", encoding="utf-8")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "lake")


def test_export_becomes_reference_tables_and_everything_is_to_be_rebuilt(workspace: Workspace, export: Path) -> None:
    loaded = load_athena(workspace, export)
    assert loaded == {"reference/athena_concept": 2, "reference/athena_concept_relationship": 1, "reference/athena_vocabulary": 1}
    rows = DeltaTable(str(workspace.lake.table("reference/athena_concept"))).to_pyarrow_table().to_pylist()
    first, second = sorted(rows, key=lambda r: -r["concept_id"])
    assert (first["concept_name"], first["concept_code"], first["valid_start_date"].isoformat()) == (
        'Type 2 "diabetes',
        "44054006",
        "1970-01-01",
    )
    assert (second["concept_code"], second["standard_concept"], second["invalid_reason"]) == ("007", None, "D")
    pending = workspace.commits.pending()
    assert pending.buckets is None
    assert workspace.commits.latest_version("reference/athena_concept") == 0
    load_athena(workspace, export)
    assert workspace.commits.latest_version("reference/athena_concept") == 1
    assert len(workspace.commits.pending().ids) == 2


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("CONCEPT", lambda t: t.replace("\t44054006", ""), "CONCEPT.csv"),
        ("CONCEPT", lambda t: t.replace("201826", "many"), "CONCEPT.csv"),
        ("CONCEPT", lambda t: t.replace("19700101", "1970-01-01"), "CONCEPT.csv"),
        ("VOCABULARY", lambda t: t.replace("vocabulary_name", "name"), "VOCABULARY.csv"),
        ("VOCABULARY", None, "VOCABULARY.csv is not there. Remedy"),
    ],
)  # fmt: skip
def test_export_that_does_not_hold_changes_nothing(workspace: Workspace, export: Path, name: str, change: object, said: str) -> None:
    path = export / f"{name}.csv"
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")  # type: ignore[operator]
    with pytest.raises(VocabularyError, match=said):
        load_athena(workspace, export)
    assert workspace.commits.latest_versions() == {}
    assert not workspace.lake.tables.exists()
