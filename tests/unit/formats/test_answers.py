"""Cells that say why they hold no value: counted by field and reason, never silently nulled. Real file: CINECA synthetic cohort UK1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.formats.answers import answered, why_missing
from assets.sites.site import load_sites


def test_cells_are_told_by_row_in_the_order_of_the_fields() -> None:
    fields = {"bmi": pa.array(["#REF!", None, "26.5", "Do Not Know"]), "diabetes": pa.array(["#n/a", "Yes", None, "Prefer not to answer"])}
    assert why_missing(fields, 4).to_pylist() == [
        [{"system": "bmi", "code": "spreadsheet_error"}, {"system": "diabetes", "code": "spreadsheet_error"}],
        None,
        None,
        [{"system": "bmi", "code": "do_not_know"}, {"system": "diabetes", "code": "prefer_not_to_answer"}],
    ]


@pytest.mark.parametrize("text", ["-1", "Not reportable at assay (too low)", "REF", "#REF", "None of the above", "no"])
def test_an_answer_that_sounds_like_none_stays_one(text: str) -> None:
    assert answered(pa.array([text])).to_pylist() == [text]


def test_a_block_without_rows_or_fields_is_read() -> None:
    assert why_missing({"bmi": pa.array([], pa.string())}, 0).to_pylist() == []
    assert why_missing({}, 2).to_pylist() == [None, None]


@pytest.fixture(scope="module")
def uk1(shared_data: Path) -> Path:
    path = shared_data / "25_biobank_cineca_uk1" / "uk1.tsv"
    if not path.exists():
        pytest.skip("the CINECA cohort is not among the shared files")
    return path


def test_the_cineca_cohort_lands_whole_with_every_fault_counted(read: Callable[..., Any], uk1: Path) -> None:
    """2,504 participants; the figures were counted by eye and by another program (README of the folder)."""
    feed = load_sites()["b01"].feeds["biobank_participants"]
    options = {"delimiter": feed.delimiter, "quote": feed.quote, "columns": {k: dict(v) for k, v in feed.columns.items()}}
    found = read("delimited", "biobank_participants", {"participant.tsv": uk1.read_bytes()}, options=options)
    rows = found.tables["participant"]
    assert (len(rows), found.rejected) == (2504, [])
    assert Counter(row["sex_code"] for row in rows) == {"female": 1271, "male": 1233}
    told = Counter((m["system"], m["code"]) for row in rows for m in row["missing_answers"] or ())
    diabetes = Counter(row["diabetes_answer"] for row in rows)
    assert (diabetes["Yes"], diabetes["No"], diabetes[None]) == (669, 633, 1202)
    assert (told["diabetes", "do_not_know"], told["diabetes", "prefer_not_to_answer"]) == (612, 590)
    assert sum(count for (_, reason), count in told.items() if reason == "spreadsheet_error") == 46_875
    assert len({field for field, reason in told if reason == "spreadsheet_error"}) == 23
    assert all(row["missing_answers"] for row in rows), "every row has at least one"
    assert all(row["bmi_kg_m2"] for row in rows)


def test_the_site_file_names_only_columns_that_are_there(uk1: Path) -> None:
    """A header that is spelled otherwise would be read as absent."""
    headers = set(uk1.open(encoding="utf-8").readline().rstrip("\n").split("\t"))
    named = load_sites()["b01"].feeds["biobank_participants"].columns["participant"].values()
    assert sorted(set(named) - headers) == []
