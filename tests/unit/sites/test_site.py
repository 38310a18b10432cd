"""Site files: an error names line, field and remedy, so that a hospital's IT head can mend it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.sites.site import SiteError, load_site, load_sites

GOOD = """site = "h99"
name = "Example"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"

[feeds.emr_csv]
encoding = "cp949"
time_zone = "Asia/Seoul"
[feeds.emr_csv.files]
"환자" = "patient"
[feeds.emr_csv.columns.patient]
patient_number = "등록번호"
[feeds.emr_csv.sheets]
"환자 명부" = "patient"
"설명" = "-"
[feeds.emr_csv.tables.visit]
header_rows = [1]
[feeds.emr_csv.tables.patient]
header_rows = [2, 3]
carry_down = ["시도"]
cell_errors = "null"
[feeds.emr_csv.tables.patient.positions]
patient_number = [1, 10]
[codes.lab]
"L1" = {system = "LOINC", code = "4548-4", unit = "%"}
"""


def _site(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "h99.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_good_file_loads(tmp_path: Path) -> None:
    site = load_site(_site(tmp_path, GOOD))
    assert site.feeds["emr_csv"].columns["patient"]["patient_number"] == "등록번호"
    assert site.codes["lab"]["L1"].code == "4548-4"


def test_people_of_a_site_are_linked_by_likeness_unless_its_file_says_no(tmp_path: Path) -> None:
    assert load_site(_site(tmp_path, GOOD)).link_by_likeness
    assert not load_site(_site(tmp_path, GOOD + "[identity]\nlink_by_likeness = false\n")).link_by_likeness


def test_all_shipped_sites_load() -> None:
    assert {"h01", "h02", "h03", "h04"} <= set(load_sites())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"consented"', '"maybe"', r"line 4, field legal_basis: 'maybe' is not allowed. Remedy: use one of consented, published"),
        ('site = "h99"', 'site = "h98"', r"line 1, field site: 'h98' differs from the file name"),
        ("[feeds.emr_csv]\n", "[feeds.emr_cvs]\n", r"field feeds.emr_cvs: is no known feed. Remedy: did you mean 'emr_csv'"),
        ('"cp949"', '"cp94"', r"line 8, field feeds.emr_csv.encoding: 'cp94' is no encoding"),
        ('encoding = "cp949"', 'archive_names = "cp94"', r"line 8, field feeds.emr_csv.archive_names: 'cp94' is no encoding"),
        ("Asia/Seoul", "Seoul", r"line 9, field time_zone"),
        ('= "patient"', '= "patients"', r"line 11, field 환자: 'patients' is no entity of emr_csv. Remedy: did you mean 'patient'"),
        ('owner = "data-team@biodam.invalid"', "", r"field owner: is missing"),
        (
            "[codes.lab]",
            '[identity]\nlink_by_likeness = "no"\n[codes.lab]',
            r"line 26, field identity.link_by_likeness: is neither true nor false",
        ),
        ("[codes.lab]", "[identity]\nlink_by_name = false\n[codes.lab]", r"line 26, field identity.link_by_name: is no field of identity"),
        (
            "[feeds.emr_csv]\n",
            "identity = true\n[feeds.emr_csv]\n",
            r"line 7, field identity: is no table. Remedy: write \[identity\] and below",
        ),
        (
            'name = "Example"',
            'name = "Example"\nnmae = "x"',
            r"line 3, field nmae: is no field of a site file. Remedy: did you mean 'name'",
        ),
        (
            '명부" = "patient"',
            '명부" = "patent"',
            r"line 15, field 환자 명부: 'patent' is no entity of emr_csv. Remedy: did you mean 'patient'",
        ),
        ("tables.patient]", "tables.patent]", r"line 19, field feeds.emr_csv.tables.patent: is no entity of emr_csv. Remedy: did you mean"),
        (
            "[2, 3]",
            "[2, 4]",
            r"line 20, field feeds.emr_csv.tables.patient.header_rows: must name rows that follow .* for example \[2, 3\]",
        ),
        ("[2, 3]", "2", r"line 20, field feeds.emr_csv.tables.patient.header_rows: must be a list of row numbers"),
        ("[2, 3]", "[0]", r"line 20, field feeds.emr_csv.tables.patient.header_rows: must be a list of row numbers"),
        ('["시도"]', '"시도"', r"line 21, field feeds.emr_csv.tables.patient.carry_down: must be a list of headers"),
        (
            '"null"',
            '"nul"',
            r"line 22, field feeds.emr_csv.tables.patient.cell_errors: 'nul' is not allowed. Remedy: use one of fault, null",
        ),
        (
            "[1, 10]",
            "[0, 10]",
            r"line 24, field feeds.emr_csv.tables.patient.positions.patient_number: must be the first and the last position",
        ),
        ("[1, 10]", "[5, 4]", r"line 24, field .*patient_number: must be the first .* Remedy: write for example \[1, 10\]"),
        ('"cp949"', '"utf-16"', r"field feeds.emr_csv.tables.patient.positions: cannot count bytes of utf-16. Remedy: write position_unit"),
        ("carry_down", "carrydown", r"line 21, field feeds.emr_csv.tables.patient.carrydown: is no field .* did you mean 'carry_down'"),
        ('kind = "hospital"', "kind = hospital", r"not valid TOML"),
    ],
)
def test_bad_field_is_named_with_line_and_remedy(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(SiteError, match=message):
        load_site(_site(tmp_path, GOOD.replace(old, new, 1)))
