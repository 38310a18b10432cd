"""SAS files: what golden files cannot show: published data, passes over long files, crashes, files cut in a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyreadstat
import pytest

from assets.formats import sas
from assets.formats.count import count_records
from assets.formats.count_sas import sas7bdat_rows, transport_rows
from tests.sas_files import DAY, KIM, PATIENT, Column, sas7bdat, transport

Read = Callable[..., Any]
COLUMNS = {"columns": {"patient": {"patient_number": "등록번호", "birth_date": "생년월일", "gender": "성별"}}}
SIMPLE = {"columns": {"patient": {"patient_number": "PATNO", "birth_date": "BIRTH"}}}


@pytest.mark.parametrize("version", [5, 8])
@pytest.mark.parametrize("name", ["dm", "ae", "cm", "ds", "mh", "ex", "sv"])
def test_a_table_of_the_cdisc_pilot_written_as_transport_file_reads_as_many_rows(
    shared_data: Path, tmp_path: Path, read: Read, name: str, version: int
) -> None:
    frame = pq.read_table(shared_data / "24_clinical_trial_sdtm" / f"{name}.parquet").to_pandas()
    path = tmp_path / f"{name}.xpt"
    pyreadstat.write_xport(frame, path, file_format_version=version, table_name=name.upper())
    assert transport_rows(path) == (len(frame), "")
    columns = {"patient_number": "USUBJID", "birth_date": "RFSTDTC"}
    found = read("xpt", "emr_csv", {"a.xpt": path}, entity="patient", options={"columns": {"patient": columns}})
    (file,) = found.files
    assert (file["records"] + file["rejected"], file["reason"]) == (len(frame), None)
    assert {row["record_id"] for row in found.tables["patient"]} <= set(frame["USUBJID"])
    assert len({row["record_id"] for row in found.tables["patient"]}) > 100


def test_passes_over_a_long_data_set_see_each_row_once(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sas, "_BLOCK_CELLS", 21)
    rows = [(f"p{n}", DAY + n, "남", "서울") for n in range(90)]
    found = read("sas7bdat", "emr_csv", {"patient.sas7bdat": sas7bdat(PATIENT, rows)}, options=COLUMNS)
    assert [(r["record_id"], r["_row_number"]) for r in found.tables["patient"]] == [(f"p{n}", n + 1) for n in range(90)]


def test_a_planted_crash_costs_its_row_only(jobs: Any) -> None:
    from assets.formats.sandbox import run_child

    data = sas7bdat(PATIENT, [*[(f"p{n}", DAY, "남", "") for n in range(20)], ("poison", DAY, "", ""), KIM])
    done = run_child(jobs.make("sas7bdat", "emr_csv", {"patient.sas7bdat": data}, options={**COLUMNS, "test_crash_on": "poison"}))
    assert [(r.row_number, r.reason) for r in done.rejected] == [(21, "parser_crash")]
    assert done.files[0].records == 21


def test_a_transport_file_cut_in_a_row_is_counted_with_that_row(read: Read, tmp_path: Path) -> None:
    """The parser drops what is left of the row and says nothing; the counter counts it, so landing holds the file back."""
    path = tmp_path / "patient.xpt"
    path.write_bytes(transport({"PATNO": [f"{n:030d}" for n in range(20)], "BIRTH": [DAY] * 20})[:-160])
    found = read("xpt", "emr_csv", {"patient.xpt": path}, options=SIMPLE)
    assert count_records(path, "xpt").records == found.files[0]["records"] + found.files[0]["rejected"] + 1


def test_pages_that_are_missing_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "patient.sas7bdat"
    whole = sas7bdat([Column("ID", 8)], [("1",), ("2",)])
    path.write_bytes(whole)
    assert sas7bdat_rows(path) == (2, "")
    path.write_bytes(whole[:-10])
    assert sas7bdat_rows(path) == (2, "pages are missing")
    path.write_bytes(b"no data set")
    assert sas7bdat_rows(path)[0] == 0
    path.write_bytes(b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!")
    assert transport_rows(path)[1] != ""
