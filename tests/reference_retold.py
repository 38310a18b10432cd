"""The deliveries of the reference cohort told in another way that says the same: other clocks, encodings and containers, each at a site of its own.

Belongs here: changes of form. Does not belong here: facts (`tests/reference_cohort.py`), what the lake should say.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.csv as csv
import pyarrow.parquet as pq

from tests.conftest import REPOSITORY, write_delivery
from tests.reference_containers import CONTAINERS, emr_as_transport_files, emr_as_workbook, emr_in_fixed_width

Files = dict[str, bytes | str]
RETOLD: Mapping[str, str] = {
    "h17": "h11", "h18": "h14", "h19": "h15", "h20": "h13", "h21": "h12", "h22": "h12", "h23": "h12", "h24": "h12",
}  # fmt: skip
"""Site -> the site whose deliveries it tells again."""
FEEDS: Mapping[str, str] = {
    "h17": "fhir_r4",
    "h18": "hl7_v2",
    "h19": "ccda",
    "h20": "omop",
    **dict.fromkeys(("h21", "h22", "h23", "h24"), "emr_csv"),
}


def _moved(text: str, form: str, hours: int) -> str:
    """A time of the Korean clock on the clock that is so many hours from UTC."""
    return (datetime.strptime(text, form) + timedelta(hours=hours - 9)).strftime(form)


def bundles_in_utc(folder: Path) -> Files:
    """FHIR: a collection Bundle a resource type instead of NDJSON, times with Z instead of +09:00."""
    files: Files = {}
    for path in sorted(folder.glob("*.ndjson")):
        entries = [{"resource": json.loads(line)} for line in path.read_text(encoding="utf-8").splitlines()]
        text = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, ensure_ascii=False)
        text = re.sub(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\+09:00", lambda m: _moved(m[1], "%Y-%m-%dT%H:%M:%S", 0) + "Z", text)
        files[f"{path.name.partition('.')[0]}.json"] = text
    return files


def hl7_in_utf_8_with_offsets(folder: Path) -> Files:
    """HL7 v2: UNICODE UTF-8 instead of KS X 1001, LF instead of CR, each time on the clock of New York with its offset."""
    files: Files = {}
    for path in sorted(folder.glob("*.hl7")):
        text = path.read_bytes().decode("euc_kr").replace("|KS X 1001", "|UNICODE UTF-8").replace("\r", "\n")
        files[path.name] = re.sub(r"(?<=\|)(\d{14})(?=[|\n])", lambda m: _moved(m[1], "%Y%m%d%H%M%S", -5) + "-0500", text)
    return files


def documents_in_utf_16(folder: Path) -> Files:
    """C-CDA: UTF-16 instead of UTF-8, times on the clock of India."""
    files: Files = {}
    for path in sorted(folder.glob("ccd-*.xml")):
        text = path.read_text(encoding="utf-8").replace('encoding="UTF-8"', 'encoding="UTF-16"')
        text = re.sub(r'value="(\d{12})\+0900"', lambda m: f'value="{_half_past(m[1])}+0530"', text)
        files[path.name] = text.encode("utf-16")
    return files


def _half_past(text: str) -> str:
    return (datetime.strptime(text, "%Y%m%d%H%M") + timedelta(hours=-3, minutes=-30)).strftime("%Y%m%d%H%M")


def omop_as_csv(folder: Path) -> Files:
    """OMOP: CSV instead of Parquet."""
    files: Files = {}
    for path in sorted(folder.glob("*.parquet")):
        out = io.BytesIO()
        csv.write_csv(pq.read_table(path), out)
        files[f"{path.stem}.csv"] = out.getvalue()
    return files


def emr_in_utf_16(folder: Path) -> Files:
    """The extract: UTF-16 with tabs instead of CP949 with commas."""
    files: Files = {}
    for path in sorted(folder.glob("*.csv")):
        rows = path.read_bytes().decode("cp949")
        files[path.name] = re.sub(r'"([^"]*)"|,', lambda m: m[1] if m[0] != "," else "\t", rows).encode("utf-16")
    return files


_WAYS: Mapping[str, Callable[[Path], Files]] = {
    "h17": bundles_in_utc, "h18": hl7_in_utf_8_with_offsets, "h19": documents_in_utf_16, "h20": omop_as_csv, "h21": emr_in_utf_16,
    "h22": emr_as_workbook, "h23": emr_in_fixed_width, "h24": emr_as_transport_files,
}  # fmt: skip


def site_files() -> Iterator[tuple[str, str]]:
    """Site -> its file: that of the site it tells again, but for what is told otherwise."""
    for site, source in RETOLD.items():
        text = (
            (REPOSITORY / "assets" / "sites" / f"{source}.toml")
            .read_text(encoding="utf-8")
            .replace(f'site = "{source}"', f'site = "{site}"')
        )
        if site in CONTAINERS:
            text = CONTAINERS[site](text)
        if site == "h21":
            text = text.replace('encoding = "cp949"', 'encoding = "utf-16"').replace('delimiter = ","', 'delimiter = "\\t"')
        yield site, text


def write_retold(deliveries: Path, lake: Path) -> None:
    """Write all of them into the inbox of a lake, and what the consent service says of numbers that only it ties to people."""
    for site, source in RETOLD.items():
        folders = sorted(p for p in (deliveries / source / FEEDS[site]).iterdir() if not p.name.endswith("resend"))
        for sequence, folder in enumerate(folders, 1):
            write_delivery(lake, site, FEEDS[site], folder.name, _WAYS[site](folder), sequence=sequence)
    head, *events = (deliveries / "c01" / "consent" / "2026-03-full" / "event.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    again = [line.replace("EV-", "EW-").replace(",h13,", ",h20,") for line in events if ",h13," in line and "2023-02-30" not in line]
    write_delivery(lake, "c01", "consent", "retold", {"event.csv": "".join([head, *again])}, sequence=90)
