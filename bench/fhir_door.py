"""FHIR NDJSON to validated, scrubbed, durable Delta, against DuckDB's typed read_json to Parquet.

The input is the Synthea R4 bundles of `../shared/data/02_fhir_synthea_bundles`, exploded to NDJSON by resource type as a bulk export is,
and repeated with new ids up to the size asked for.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from bench.measure import Cost, machine, need_shared, run

TYPED_READ = """
import duckdb, sys
codings = "STRUCT(coding STRUCT(system VARCHAR, code VARCHAR)[])"
columns = {
    "resourceType": "VARCHAR", "id": "VARCHAR", "status": "VARCHAR", "gender": "VARCHAR", "birthDate": "VARCHAR",
    "subject": "STRUCT(reference VARCHAR)", "patient": "STRUCT(reference VARCHAR)", "encounter": "STRUCT(reference VARCHAR)", "code": codings,
    "vaccineCode": codings, "medicationCodeableConcept": codings, "effectiveDateTime": "VARCHAR", "occurrenceDateTime": "VARCHAR",
    "onsetDateTime": "VARCHAR", "abatementDateTime": "VARCHAR", "recordedDate": "VARCHAR", "authoredOn": "VARCHAR",
    "valueQuantity": 'STRUCT("value" DOUBLE, unit VARCHAR, code VARCHAR)', "valueCodeableConcept": codings,
    "performedPeriod": 'STRUCT("start" VARCHAR, "end" VARCHAR)', "period": 'STRUCT("start" VARCHAR, "end" VARCHAR)',
    "component": f'STRUCT(code {codings}, valueQuantity STRUCT("value" DOUBLE, unit VARCHAR))[]',
}
con = duckdb.connect(config={"threads": 2})
con.execute("copy (select * from read_json($files, format='newline_delimited', columns=$columns, maximum_object_size=33554432)) to '"
            + sys.argv[1] + "' (codec zstd)", {"files": sys.argv[2:], "columns": columns})
"""

LAND = """
import sys
from pathlib import Path
from assets.landing.door import admit, closed_folders
from assets.landing.land import land
from assets.landing.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
for folder in closed_folders(workspace.lake.inbox):
    outcome = land(workspace, admit(workspace, folder))
    print(outcome.state, outcome.delivered, outcome.landed, outcome.quarantined, outcome.duplicate)
"""


def write_export(source: Path, out: Path, target_bytes: int) -> tuple[int, int]:
    """Write NDJSON files by resource type; returns (resources, bytes)."""
    kinds: dict[str, list[str]] = defaultdict(list)
    ids: set[str] = set()
    for path in sorted(source.glob("*.json")):
        for entry in json.loads(path.read_bytes())["entry"]:
            resource = entry["resource"]
            ids.add(resource["id"])
            kinds[resource["resourceType"]].append(json.dumps(resource, separators=(",", ":"), ensure_ascii=False))
    one = sum(len(line.encode()) + 1 for lines in kinds.values() for line in lines)
    copies = max(1, round(target_bytes / one))
    resources = size = 0
    for kind, lines in sorted(kinds.items()):
        with (out / f"{kind}.000.ndjson").open("w", encoding="utf-8") as file:
            for copy in range(copies):
                mark = f"{copy:08x}"
                for line in lines:
                    file.write(renumber(line, mark) + "\n")
                    resources += 1
        size += (out / f"{kind}.000.ndjson").stat().st_size
    return resources, size


def renumber(line: str, mark: str) -> str:
    """New ids for a copy: the first eight digits of every UUID are replaced."""
    import re

    pattern = r"[0-9a-f]{8}(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    return re.sub(pattern, lambda m: mark + m.group(1), line)


def main() -> None:
    """Print both costs and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=122.6)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    source = need_shared() / "02_fhir_synthea_bundles"
    print(machine())
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
        work = Path(folder)
        (work / "export").mkdir()
        resources, size = write_export(source, work / "export", int(options.megabytes * 1e6))
        print(f"{resources:,} resources, {size / 1e6:.1f} MB")
        for number in range(options.runs):
            plain = _typed_read(work)
            door = _door(work, number)
            ratio = plain.cpu_s / door.cpu_s
            print(f"typed read_json -> Parquet  {plain}")
            print(f"door -> durable Delta       {door}   speed against plain: {ratio:.0%}")


def _typed_read(work: Path) -> Cost:
    files = [str(p) for p in sorted((work / "export").iterdir())]
    return run([sys.executable, "-c", TYPED_READ, str(work / "plain.parquet"), *files], log=work / "plain.log")


def _door(work: Path, number: int) -> Cost:
    from tests.conftest import write_delivery

    lake = work / f"lake{number}"
    files = {p.name: p.read_bytes() for p in sorted((work / "export").iterdir())}
    write_delivery(lake, "h02", "fhir_r4", "bench", files)
    cost = run([sys.executable, "-c", LAND, str(lake)], log=work / "door.log")
    print((work / "door.log").read_text().strip().splitlines()[-1])
    shutil.rmtree(lake)
    return cost


if __name__ == "__main__":
    main()
