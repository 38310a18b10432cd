"""What is shown beside a table: where its columns come from, and samples that show nobody."""

from __future__ import annotations

import errno
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from assets.alerts import safe_message
from assets.column_lineage import column_lineage
from assets.dbt_manifest import load_manifest, untouched_nodes
from assets.samples import MASK, shown_values

PERSON = ("omop", "person")
VISIT = ("raw_x", "visit")
TABLES = {PERSON: ["person_id", "year", "person_bucket"], VISIT: ["person_id", "value", "other"]}


@pytest.mark.parametrize(
    ("sql", "lineage"),
    [
        ("select year as y from omop.person", {"y": [(PERSON, "year")]}),
        ('select * from (select * from "memory"."omop"."person" where person_bucket = 3) as p', {
            "person_bucket": [(PERSON, "person_bucket")], "person_id": [(PERSON, "person_id")], "year": [(PERSON, "year")],
        }),
        ("with v as (select person_id, max(value) as m from raw_x.visit group by 1) select p.year + v.m as s from omop.person as p join v using (person_id)", {
            "s": [(PERSON, "year"), (VISIT, "value")],
        }),
        ("select year as a from omop.person union all select value from raw_x.visit", {"a": [(PERSON, "year"), (VISIT, "value")]}),
        ("select (select max(other) from raw_x.visit) as o, 0 as zero from omop.person", {"o": [(VISIT, "other")], "zero": []}),
        ("select person_id, row_number() over (partition by person_id order by value) as n from raw_x.visit", {
            "n": [(VISIT, "person_id"), (VISIT, "value")], "person_id": [(VISIT, "person_id")],
        }),
        ("this is no query (", {}),
    ],
)  # fmt: skip
def test_column_is_traced_to_the_columns_it_is_made_of(sql: str, lineage: dict[str, list[tuple[tuple[str, str], str]]]) -> None:
    assert column_lineage(sql, TABLES) == lineage


@pytest.mark.parametrize(
    ("name", "column", "shown"),
    [
        ("person_id", pa.array([1] * 9), [MASK]),
        ("visit_source_id", pa.array([1] * 9), [MASK]),
        ("note_text", pa.array(["fever"] * 9), [MASK]),
        ("gender_code", pa.array(["F"] * 6 + ["M"] * 5 + ["rare"]), ["F", "M"]),
        ("birth_date", pa.array([date(1960, 3, d + 1) for d in range(9)]), ["1960"]),
        ("disease_code", pa.array(["a", "b", "c"]), [MASK]),
        ("empty", pa.array([None, None], pa.string()), [""]),
        ("codings", pa.array([[{"code": "x"}]] * 9), [MASK]),
        ("long_code", pa.array(["x" * 60] * 9), ["x" * 39 + "…"]),
    ],
)  # fmt: skip
def test_sample_shows_only_what_many_rows_share(name: str, column: pa.Array, shown: list[str]) -> None:
    assert shown_values(name, column) == shown


def test_errors_of_libraries_are_kept_without_their_words() -> None:
    from assets.sites.site import SiteError

    assert safe_message(SiteError("h1.toml, line 2: mend it")) == "h1.toml, line 2: mend it"
    assert "Kim" not in safe_message(ValueError("could not convert 'Kim' to int"))
    assert "Kim" not in safe_message(FileNotFoundError(errno.ENOENT, "No such file", "Kim_Anna.json"))
    assert "Remedy: make room" in safe_message(OSError(errno.ENOSPC, "No space left on device", "x"))


def test_build_leaves_out_what_reads_nothing_that_changed() -> None:
    manifest = load_manifest()

    def left(changed: set[str], *, day_changed: bool = False) -> set[str]:
        return {n["name"] for n in untouched_nodes(manifest, changed, day_changed=day_changed)}

    everything = left(set())
    assert {"person", "concept", "cohort_type2_diabetes", "stg_fhir__conditions"} <= everything
    after_claims = left({"raw/fhir/condition"})
    assert {"concept", "stg_fhir__encounters", "person", "location"} <= after_claims
    assert not {"stg_fhir__conditions", "condition_occurrence", "cohort_type2_diabetes"} & after_claims
    assert not {"person", "stg_fhir__patients", "condition_occurrence"} & left({"raw/consent/event"}), (
        "consent reaches every model about people"
    )
    assert {"concept", "care_site"} <= left({"raw/consent/event"})
    assert "consent_relation" not in left(set(), day_changed=True)


def test_compiled_models_of_a_project_give_lineage_through_views_and_seeds(tmp_path: Path) -> None:
    from assets.column_lineage import ProjectLineage

    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "s.csv").write_text("code,unit\nx,y\n", encoding="utf-8")
    compiled = tmp_path / "compiled" / "p" / "models"
    compiled.mkdir(parents=True)
    (compiled / "v.sql").write_text("select code as c, unit from seeds.s", encoding="utf-8")
    (compiled / "m.sql").write_text("select * from staging.v", encoding="utf-8")

    def node(name: str, kind: str, schema: str, file: str, parents: list[str]) -> dict[str, object]:
        return {
            "name": name, "resource_type": kind, "schema": schema, "package_name": "p", "original_file_path": file, "root_path": str(tmp_path),
            "depends_on": {"nodes": parents}, "columns": {},
        }  # fmt: skip

    manifest = {
        "nodes": {
            "s": node("s", "seed", "seeds", "seeds/s.csv", []),
            "v": node("v", "model", "staging", "models/v.sql", ["s"]),
            "m": node("m", "model", "omop", "models/m.sql", ["v"]),
        }
    }
    kept = tmp_path / "lineage.json"
    lineage = ProjectLineage(manifest, tmp_path / "compiled", known={}, kept=kept, version="1")
    assert lineage.of("m") == {"c": [(("staging", "v"), "c")], "unit": [(("staging", "v"), "unit")]}
    lineage.save()
    (compiled / "m.sql").unlink()
    again = ProjectLineage(manifest, tmp_path / "compiled", known={}, kept=kept, version="1")
    assert again.of("m") == lineage.of("m")
    assert ProjectLineage(manifest, tmp_path / "compiled", known={}, kept=kept, version="2").of("m") == {}
