"""HL7 v2 messages to scrubbed, durable rows: messages and bytes per CPU second, peak memory, and that memory does not grow with the file.

The input is generated: admissions, transfers, updates and discharges (ADT) and laboratory results (ORU, 4 to 14 results each) of invented people,
about a quarter ADT. Part of them holds escape sequences, repeated identifiers, Korean names in UTF-8 or, asked for, in CP949 under KS X 1001.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from assets.formats.sandbox import ENVIRONMENT
from bench.fhir_door import LAND
from bench.measure import machine, run

COUNT = """
import sys
from pathlib import Path
from assets.formats.count import count_records
print(count_records(Path(sys.argv[1]), "hl7").records)
"""

TESTS = (
    ("718-7^Hemoglobin^LN^HB^혈색소^L", "g/dL", 8, 18), ("2345-7^Glucose^LN^GLU^포도당^L", "mg/dL", 60, 320), ("4548-4^HbA1c^LN^A1C^당화혈색소^L", "%", 4, 13),
    ("2160-0^Creatinine^LN^CREA^크레아티닌^L", "mg/dL", 0.3, 6), ("2093-3^Cholesterol^LN", "mg/dL", 90, 320), ("2571-8^Triglyceride^LN", "mg/dL", 40, 600),
    ("6690-2^Leukocytes^LN", "10*3/uL", 2, 25), ("777-3^Platelets^LN", "10*3/uL", 40, 600), ("1742-6^ALT^LN", "U/L", 5, 300), ("2951-2^Sodium^LN", "mmol/L", 125, 155),
)  # fmt: skip
FAMILY, GIVEN = "김이박최정강조윤장임", "민서지우하은도윤시현준"


def messages(count: int, seed: int = 1, patients: int = 0) -> Iterator[str]:
    """Invented messages, in the order of an interface log; of so many patients, or about one for every four messages."""
    draw = random.Random(seed)
    for number in range(count):
        patient = draw.randrange(patients or max(count // 4, 1))
        at = f"2024{draw.randint(1, 12):02}{draw.randint(1, 28):02}{draw.randint(0, 23):02}{draw.randint(0, 59):02}{draw.randint(0, 59):02}"
        yield _adt(draw, number, patient, at) if draw.random() < 0.25 else _oru(draw, number, patient, at)


def _head(draw: random.Random, number: int, kind: str, patient: int, at: str) -> list[str]:
    name = f"{FAMILY[patient % 10]}^{GIVEN[patient // 10 % 11]}{GIVEN[patient // 110 % 11]}"
    ids = f"{patient:08}^^^BENCH^MR" + (f"~{patient % 100:02}0101-1{patient % 1000000:06}^^^KR^NNKOR" if draw.random() < 0.3 else "")
    born = f"{1930 + patient % 90}{1 + patient % 12:02}{1 + patient % 28:02}"
    return [
        f"MSH|^~\\&|HIS|BENCH|CDW|BIODAM|{at}+0900||{kind}|{number:010}|P|2.5.1|||AL|NE|KOR|CHARSET",
        f"PID|1||{ids}||{name}||{born}|{'MF'[patient % 2]}|||서울특별시 종로구 세종대로 {patient % 300}^^종로구^서울특별시^03154^KR||02-{patient % 10000:04}-1234|||M",
    ]


def _visit(patient: int, at: str, ended: str = "") -> str:
    fields = (
        ["PV1", "1", "I", "W5^501^1", "R", "", "", "D001^홍^길동^^^의사", "", "", "IM"]
        + [""] * 8
        + [f"V{patient:08}"]
        + [""] * 24
        + [at, ended]
    )
    return "|".join(fields)


def _adt(draw: random.Random, number: int, patient: int, at: str) -> str:
    event = draw.choice(("A01", "A08", "A02", "A03"))
    lines = _head(draw, number, f"ADT^{event}^ADT_A01", patient, at)
    lines.insert(1, f"EVN|{event}|{at}|||U01^김^간호")
    lines += ["NK1|1|김^보호자|SPO||010-1234-5678", _visit(patient, at, at if event == "A03" else "")]
    lines += [f"DG1|{i}||E1{draw.randint(0, 4)}.{draw.randint(0, 9)}^당뇨병^KCD||{at}|F" for i in range(1, draw.randint(2, 4))]
    lines += ["AL1|1|DA|N0000011281^페니실린^L|SV|두드러기"] if draw.random() < 0.2 else []
    return "\r".join(lines)


def _oru(draw: random.Random, number: int, patient: int, at: str) -> str:
    lines = [*_head(draw, number, "ORU^R01^ORU_R01", patient, at), _visit(patient, "")]
    lines += [f"ORC|RE|P{number}|F{number}", f"OBR|1|P{number}|F{number}|24323-8^Panel^LN|||{at}|||||||||D001^홍^길동||||||{at}|||F"]
    for ordinal in range(1, draw.randint(5, 15)):
        code, unit, low, high = draw.choice(TESTS)
        value = f"{draw.uniform(low, high):.1f}" if draw.random() < 0.98 else "<0.5"
        lines.append(f"OBX|{ordinal}|NM|{code}|{ordinal}|{value}|{unit}|{low}-{high}|N|||F|||{at}||T07^검사자|||LAB")
    if draw.random() < 0.1:
        lines.append("NTE|1||용혈\\.br\\재검 요망 A\\T\\B")
    return "\r".join(lines)


def write_messages(
    path: Path, count: int, charset: str = "UNICODE UTF-8", *, encoding: str = "utf-8", patients: int = 0, seed: int = 1
) -> int:
    """Write a file of messages; returns its bytes."""
    with path.open("wb") as file:
        for message in messages(count, seed, patients):
            file.write(message.replace("CHARSET", charset, 1).encode(encoding) + b"\r")
    return path.stat().st_size


def child_job(path: Path, spool: Path) -> dict[str, object]:
    """The job landing would give to the parsing child."""
    from assets.landing.files import FileJob
    from assets.landing.job import build_job
    from assets.sites.site import load_sites

    file = FileJob(0, path, path.name, "", path.stat().st_size, None, None, "hl7", None)
    return build_job("hl7", [file], load_sites()["h05"].feeds["hl7_v2"], spool)


def main() -> None:
    """Print the cost of counting, of parsing to scrubbed columns, and of the whole door to durable Delta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cp949", action="store_true", help="Korean text under KS X 1001 instead of UTF-8")
    options = parser.parse_args()
    print(machine())
    charset, encoding = ("KS X 1001", "cp949") if options.cp949 else ("UNICODE UTF-8", "utf-8")
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
        work = Path(folder)
        for count in (options.messages // 4, options.messages):
            path = work / f"messages{count}.hl7"
            size = write_messages(path, count, charset, encoding=encoding)
            print(f"{count:,} messages, {size / 1e6:.1f} MB, {charset}")
            for _ in range(options.runs):
                _one(work, path, count)


def _one(work: Path, path: Path, count: int) -> None:
    from tests.conftest import write_delivery

    counted = run([sys.executable, "-c", COUNT, str(path)], log=work / "count.log")
    spool = work / "spool"
    spool.mkdir()
    job = spool / "_job.json"
    job.write_text(json.dumps(child_job(path, spool)), encoding="utf-8")
    parsed = run([sys.executable, "-m", "assets.formats.child", str(job)], environment=ENVIRONMENT, log=work / "parse.log")
    shutil.rmtree(spool)
    lake = work / "lake"
    write_delivery(lake, "h05", "hl7_v2", "bench", {path.name: path.read_bytes()})
    door = run([sys.executable, "-c", LAND, str(lake)], log=work / "door.log")
    shutil.rmtree(lake)
    for name, cost in (("count", counted), ("parse and scrub", parsed), ("door to durable Delta", door)):
        print(f"{name:22} {cost}   {count / cost.cpu_s:9,.0f} messages per CPU s")
    print((work / "door.log").read_text().strip().splitlines()[-1])


if __name__ == "__main__":
    main()
