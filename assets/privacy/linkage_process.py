"""The process in which descriptions are compared: splink on DuckDB in memory. Run as `python -m assets.privacy.linkage_process FOLDER`.

Belongs here: reading descriptions from standard input, comparing, writing pairs to standard output; both Arrow streams. Does not belong here: any
key, any database, any decision about people (`linkage`). It gets descriptions in clear, so it says nothing: an error is its kind only, and
what memory cannot hold goes to FOLDER, which its parent made for it alone and takes away.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa

from assets.privacy.linkage_model import (
    FIELDS,
    MERGE_BITS,
    MERGE_RULE,
    PRIOR,
    REGION_BITS,
    REGION_RULE,
    REVIEW_BITS,
    REVIEW_RULE,
    Field,
    level_names,
)  # fmt: skip
from assets.privacy.vault_schema import BLOCKS

COLUMNS = ("name", "jamo", "roman", "sound", "birth_date", "sex", "phone", "region", "address")
INPUT = pa.schema([
    ("row", pa.int64()), ("person_id", pa.int64()), ("current", pa.int64()), ("site", pa.string()), ("is_new", pa.bool_()),
    ("is_numbered", pa.bool_()), *((c, pa.string()) for c in COLUMNS), *((b, pa.int64()) for b in BLOCKS),
])  # fmt: skip
"""Grain: what one site says of one home person. `is_numbered`: the vault holds a resident number of the person, so two such are known to differ."""
_COMPARABLE = "l.current <> r.current and (l.is_new or r.is_new) and not (l.is_numbered and r.is_numbered)"


def compare(source: BinaryIO, sink: BinaryIO, folder: str) -> None:
    """Read descriptions, write the pairs that are merged or reviewed, with the number of pairs compared in the schema's metadata."""
    with pa.ipc.open_stream(source) as reader:
        table = reader.read_all()
    with duckdb.connect() as connection:
        connection.execute("set temp_directory = ?", [folder])
        connection.execute("set threads = 2")
        connection.register("delivered", table)
        connection.execute("create table described as from delivered")
        connection.unregister("delivered")
        del table
        compared, pairs = _pairs(connection)
    with pa.ipc.new_stream(sink, pairs.schema.with_metadata({"compared": str(compared)})) as writer:
        writer.write_table(pairs)


def _pairs(connection: duckdb.DuckDBPyConnection) -> tuple[int, pa.Table]:
    from splink import DuckDBAPI, Linker

    linker = Linker("described", _settings(), DuckDBAPI(connection))
    scored = linker.inference.predict().physical_name
    counted = connection.execute(f"select count(*) from {scored}").fetchone()
    levels = ", ".join(f"{_named(field)} as {field}" for field in level_names())
    query = f"""
        with leveled as (
            select person_id_l as left_person_id, person_id_r as right_person_id, site_l = site_r as is_same_site, match_weight as weight,
                {levels}
            from {scored}
        ),
        judged as (select *, (weight >= {MERGE_BITS} and ({MERGE_RULE})) or (weight >= {REGION_BITS} and ({REGION_RULE})) as is_merge from leveled)
        select left_person_id, right_person_id, weight, is_merge and not is_same_site as is_merge, is_same_site, {", ".join(level_names())}
        from judged where is_merge or (weight >= {REVIEW_BITS} and {REVIEW_RULE})
    """
    return (int(counted[0]) if counted else 0), connection.execute(query).to_arrow_table()


def _named(field: str) -> str:
    cases = " ".join(f"when {value} then '{name}'" for value, name in level_names()[field].items())
    return f"case gamma_{field} {cases} end"


def _settings() -> Any:
    from splink import SettingsCreator
    from splink.blocking_rule_library import CustomRule

    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="row",
        probability_two_random_records_match=PRIOR,
        blocking_rules_to_generate_predictions=[CustomRule(f"l.{name} = r.{name} and {_COMPARABLE}") for name in BLOCKS],
        comparisons=[_comparison(field) for field in FIELDS],
        additional_columns_to_retain=["person_id", "site"],
        retain_intermediate_calculation_columns=True,
    )


def _comparison(field: Field) -> dict[str, Any]:
    levels: list[dict[str, Any]] = [{"sql_condition": _sides(field.missing), "label_for_charts": "missing", "is_null_level": True}]
    for level in field.levels:
        levels.append({
            "sql_condition": _sides(level.condition) or "ELSE", "label_for_charts": level.name, "m_probability": level.m, "u_probability": level.u,
            "fix_m_probability": True, "fix_u_probability": True,
        })  # fmt: skip
    return {"output_column_name": field.name, "comparison_levels": levels}


def _sides(condition: str) -> str:
    for name in COLUMNS:
        condition = condition.replace(f"{{l}}{name}", f'"{name}_l"').replace(f"{{r}}{name}", f'"{name}_r"')
    return condition


def main() -> int:
    """0, or 1 with the kind of error on standard error."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    sink = sys.stdout.buffer
    sys.stdout = sys.stderr
    try:
        compare(sys.stdin.buffer, sink, sys.argv[1])
    except Exception as error:  # its text may quote a value
        sys.stderr.write(f"\n{type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
