"""SAS files: what golden files cannot show: published data, passes over long files, crashes, files cut in a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyreadstat
import pytest

from assets.formats import sas
from assets.formats.count_sas import sas7bdat_rows, transport_rows
from assets.formats.xpt_guard import contradiction
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


def _flip(data: bytes, at: int, bits: int) -> bytes:
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


LONG = {"PATNO": [f"{n:030d}" for n in range(20)], "BIRTH": [DAY] * 20}
WIDTH, PLACE = 8 * 80 + 5, 8 * 80 + 140 + 87
"""Of a column of a transport file: the low byte of the first one's width and of the second one's place in the row."""


@pytest.mark.parametrize("version", [5, 8])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        pytest.param(lambda whole: _flip(whole, WIDTH, 1), "places and the widths", id="a width"),
        pytest.param(lambda whole: _flip(whole, PLACE, 1), "places and the widths", id="a place"),
        pytest.param(
            lambda whole: whole.replace(b"HEADER RECORD*******OBS", b"HEADER RECORD*******OBT"), "no header", id="the header of its rows"
        ),
        pytest.param(lambda whole: whole[:-160], "row", id="cut off"),
        pytest.param(lambda whole: _flip(whole, len(whole) - 1, 1), "row", id="something behind the last row"),
    ],
)
def test_a_transport_file_that_contradicts_itself_is_refused(
    read: Read, tmp_path: Path, version: int, harm: Callable[[bytes], bytes], said: str
) -> None:
    """The parser read other rows than were sent, or fewer, and said nothing: the file was held back only where the counts of both differed."""
    path = tmp_path / "patient.xpt"
    whole = transport(LONG, version=version)
    path.write_bytes(whole)
    assert contradiction(path) is None
    path.write_bytes(harm(whole))
    (file,) = read("xpt", "emr_csv", {"patient.xpt": path}, options=SIMPLE).files
    assert (file["reason"], file["records"]) == ("not_sas", 0)
    assert said in file["detail"]


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
