"""Peak memory of landing one large file, and that it does not grow with the file.

The files are generated: FHIR NDJSON (Observation), HL7 v2 and CSV (observations of Synthea), of so many bytes, about 20,000 invented patients
whatever the size. Each is delivered and landed in a lake of its own, then deleted. Peak is the largest single process, parent or parsing child.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.fhir_door import LAND
from bench.hl7_door import write_messages
from bench.measure import Cost, machine, run

PATIENTS = 20_000
_MESSAGE_BYTES = 1_178
_LINES = 10_000

CODES = ("718-7", "2345-7", "4548-4", "2160-0", "2093-3", "2571-8", "6690-2", "777-3", "1742-6", "2951-2")


def write_observations(path: Path, size: int, start: int = 0) -> None:
    """FHIR Observations, one a line, about 600 bytes each."""
    with path.open("w", encoding="utf-8") as file:
        _fill(file.write, size, _observation, start)


def write_rows(path: Path, size: int, start: int = 0) -> None:
    """A Synthea observations.csv."""
    with path.open("w", encoding="utf-8") as file:
        file.write("DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n")
        _fill(file.write, size, _row, start)


def write_hl7(path: Path, size: int, start: int = 0) -> None:
    """HL7 v2 messages, as in `bench.hl7_door`."""
    write_messages(path, size // _MESSAGE_BYTES, patients=PATIENTS, seed=start + 1)


def _fill(write: Callable[[str], object], size: int, make: Callable[[int], str], number: int) -> None:
    while size > 0:
        text = "".join(map(make, range(number, number + _LINES)))
        write(text)
        number += _LINES
        size -= len(text)


def _observation(n: int) -> str:
    code, day = CODES[n % 10], f"20{10 + n % 14:02}-{1 + n % 12:02}-{1 + n % 28:02}"
    return (
        f'{{"resourceType":"Observation","id":"{n:08x}-0000-4000-8000-{n % PATIENTS:012x}","status":"final","category":[{{"coding":[{{"system":'
        '"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}]}],"code":{"coding":[{"system":'
        f'"http://loinc.org","code":"{code}","display":"Result {code}"}}],"text":"Result {code}"}},"subject":{{"reference":"Patient/p{n % PATIENTS}"}},'
        f'"encounter":{{"reference":"Encounter/e{n // 8}"}},"effectiveDateTime":"{day}T{n % 24:02}:30:00+09:00","issued":"{day}T{n % 24:02}:30:00.000+09:00",'
        f'"valueQuantity":{{"value":{n % 4001 / 10},"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}}}\n'
    )


def _row(n: int) -> str:
    day = f"20{10 + n % 14:02}-{1 + n % 12:02}-{1 + n % 28:02}"
    return f"{day}T{n % 24:02}:30:00Z,p{n % PATIENTS},e{n // 8},laboratory,{CODES[n % 10]},Result of a test in the laboratory,{n % 4001 / 10},mg/dL,numeric\n"


KINDS: dict[str, tuple[str, str, str, Callable[[Path, int, int], None]]] = {
    "fhir": ("h02", "fhir_r4", "Observation.000.ndjson", write_observations),
    "hl7": ("h05", "hl7_v2", "messages.hl7", write_hl7),
    "csv": ("h03", "synthea_csv", "observations.csv", write_rows),
}
"""Kind of file -> site, feed, file name, how it is written."""


def main() -> None:
    """Print the cost of each landing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    print(machine())
    for kind in options.kinds:
        for megabytes in options.megabytes:
            for line in _land(kind, megabytes * 10**6):
                print(line, flush=True)


def _land(kind: str, size: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
        lake, log = Path(folder) / "lake", Path(folder) / "land.log"
        held = deliver(lake, kind, size)
        cost: Cost = run([sys.executable, "-c", LAND, str(lake)], log=log)
        state, delivered, landed, quarantined, duplicate = log.read_text().strip().splitlines()[-1].split()
        yield f"{kind:5}{held / 1e6:8,.0f} MB {cost}   {int(delivered):,} records: {state} {landed}, {quarantined} quarantined, {duplicate} twice"
        shutil.rmtree(lake)


def deliver(lake: Path, kind: str, size: int, sequence: int = 1) -> int:
    """Write a file of a kind into the inbox of a lake, with its manifest; returns its bytes. Each number brings other records of the same people."""
    site, feed, name, write = KINDS[kind]
    delivery = lake / "inbox" / site / feed / f"bench{sequence}"
    delivery.mkdir(parents=True)
    write(delivery / name, size, (sequence - 1) * PATIENTS * 1000)
    with (delivery / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    held = (delivery / name).stat().st_size
    manifest = {
        "site": site,
        "feed": feed,
        "delivery_id": f"bench{sequence}",
        "sequence": sequence,
        "files": [{"path": name, "sha256": digest, "bytes": held}],
    }
    (delivery / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return held


if __name__ == "__main__":
    main()
