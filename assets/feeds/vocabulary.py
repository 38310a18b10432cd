"""An Athena export of the OMOP vocabularies as reference tables.

Belongs here: reading the tab-separated files strictly and streaming them into `reference/athena_<table>`. Does not belong here: what a code
means (dbt models).

Source: OHDSI Athena download, CSV files with tabs, no quoting, UTF-8, dates as YYYYMMDD; columns of the OMOP CDM 5.4 vocabulary tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from assets.lake import tables
from assets.landing.workspace import Workspace
from assets.quiet import break_quiet

_DAY, _ID, _TEXT, _NUMBER = pa.date32(), pa.int64(), pa.string(), pa.float64()
_VALID: Mapping[str, pa.DataType] = {"valid_start_date": _DAY, "valid_end_date": _DAY, "invalid_reason": _TEXT}
TABLES: Mapping[str, Mapping[str, pa.DataType]] = {
    "concept": {
        "concept_id": _ID, "concept_name": _TEXT, "domain_id": _TEXT, "vocabulary_id": _TEXT, "concept_class_id": _TEXT,
        "standard_concept": _TEXT, "concept_code": _TEXT, **_VALID,
    },
    "vocabulary": {
        "vocabulary_id": _TEXT, "vocabulary_name": _TEXT, "vocabulary_reference": _TEXT, "vocabulary_version": _TEXT, "vocabulary_concept_id": _ID,
    },
    "domain": {"domain_id": _TEXT, "domain_name": _TEXT, "domain_concept_id": _ID},
    "concept_class": {"concept_class_id": _TEXT, "concept_class_name": _TEXT, "concept_class_concept_id": _ID},
    "relationship": {
        "relationship_id": _TEXT, "relationship_name": _TEXT, "is_hierarchical": _TEXT, "defines_ancestry": _TEXT, "reverse_relationship_id": _TEXT,
        "relationship_concept_id": _ID,
    },
    "concept_relationship": {"concept_id_1": _ID, "concept_id_2": _ID, "relationship_id": _TEXT, **_VALID},
    "concept_ancestor": {
        "ancestor_concept_id": _ID, "descendant_concept_id": _ID, "min_levels_of_separation": _ID, "max_levels_of_separation": _ID,
    },
    "concept_synonym": {"concept_id": _ID, "concept_synonym_name": _TEXT, "language_concept_id": _ID},
    "drug_strength": {
        "drug_concept_id": _ID, "ingredient_concept_id": _ID, "amount_value": _NUMBER, "amount_unit_concept_id": _ID, "numerator_value": _NUMBER,
        "numerator_unit_concept_id": _ID, "denominator_value": _NUMBER, "denominator_unit_concept_id": _ID, "box_size": _ID, **_VALID,
    },
}  # fmt: skip
"""Table -> columns that are kept, with their types."""

REQUIRED = ("concept", "vocabulary", "concept_relationship")
_BLOCK = 8 * 2**20


class VocabularyError(ValueError):
    """The export does not hold; the message names file and column. No table was changed by that file."""


def athena_files(folder: Path) -> dict[str, Path]:
    """Table -> file of an export.

    Raises:
        VocabularyError: A file that every export has is not there.
    """
    found = {p.stem.lower(): p for p in sorted(folder.glob("*.csv")) if p.stem.lower() in TABLES}
    missing = [f"{name.upper()}.csv" for name in REQUIRED if name not in found]
    if missing:
        raise VocabularyError(f"{folder}: {', '.join(missing)} is not there. Remedy: unpack the Athena download and give that folder")
    return found


def load_athena(workspace: Workspace, folder: Path, *, say: Callable[[str], object] = lambda _: None) -> dict[str, int]:
    """Replace `reference/athena_*` by an export, streamed; every model is rebuilt at the next run.

    Every file is read through once before any table is written, so an export that does not hold changes nothing.

    Returns:
        Table key -> rows.

    Raises:
        VocabularyError: A file is missing, or a line of one does not hold.
    """
    files = athena_files(folder)
    for name, path in files.items():
        say(f"checking {path.name}")
        _check(name, path)
    break_quiet(workspace.root)
    loaded = {}
    for name, path in files.items():
        say(f"writing {path.name}")
        key = f"reference/athena_{name}"
        loaded[key] = _write(workspace, key, name, path)
    version = workspace.commits.latest_version("reference/athena_concept")
    workspace.commits.note_change(f"vocabulary load, athena_concept version {version}", [], touches_everything=True)
    return loaded


def _check(name: str, path: Path) -> None:
    """Read a file through and compare its rows with its lines, counted by code that shares nothing with the reader."""
    rows = sum(batch.num_rows for batch in read_athena(name, path))
    lines = _lines(path) - 1
    if rows != lines:
        raise VocabularyError(f"{path.name}: {lines:,} lines after the header, but {rows:,} rows were read. Remedy: download it again")


def read_athena(name: str, path: Path) -> Iterator[pa.RecordBatch]:
    """Batches of one file, in the types of `TABLES`.

    Raises:
        VocabularyError: A column is missing or a value has the wrong type.
    """
    columns = TABLES[name]
    types = {c: _TEXT if t == _DAY else t for c, t in columns.items()}
    try:
        reader = pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(block_size=_BLOCK),
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False, newlines_in_values=False),
            convert_options=pacsv.ConvertOptions(
                column_types=types,
                include_columns=list(columns),
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=False,
            ),
        )
        for batch in reader:
            yield _with_days(batch, columns)
    except (pa.ArrowException, KeyError) as error:
        raise VocabularyError(
            f"{path.name}: {str(error).splitlines()[0][:200]}. Remedy: this is no Athena export, or it is cut short"
        ) from error


def _with_days(batch: pa.RecordBatch, columns: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    arrays = [
        pc.strptime(batch[c], format="%Y%m%d", unit="s").cast(pa.timestamp("s")).cast(_DAY) if t == _DAY else batch[c]
        for c, t in columns.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(list(columns.items())))


def _lines(path: Path) -> int:
    """Lines with something in them."""
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _write(workspace: Workspace, key: str, name: str, path: Path) -> int:
    reader = pa.RecordBatchReader.from_batches(pa.schema(list(TABLES[name].items())), read_athena(name, path))
    receipt = tables.overwrite(
        workspace.lake, key, reader, expected_version=workspace.commits.latest_version(key),
        record_commit=workspace.recorder("vocabulary load"),
    )  # fmt: skip
    return receipt.rows
