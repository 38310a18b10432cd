"""Synthea CSV of many patients to OMOP: landing and dbt included; the same delivery again; one per cent more patients.

The 27 patients of `../shared/data/05_synthea_csv` are replicated with new ids; organisations, providers and payers are not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import duckdb

from bench.measure import Cost, biodam, machine, need_shared, run

OWN_IDS = {
    "patients": ["Id"], "encounters": ["Id", "PATIENT"], "careplans": ["Id", "PATIENT", "ENCOUNTER"], "imaging_studies": ["Id", "PATIENT", "ENCOUNTER"],
    "claims": ["Id", "PATIENTID", "APPOINTMENTID"], "claims_transactions": ["ID", "CLAIMID", "PATIENTID", "APPOINTMENTID"], "payer_transitions": ["PATIENT"],
}  # fmt: skip
CLINICAL = ["PATIENT", "ENCOUNTER"]
SHARED_TABLES = ("organizations", "providers", "payers")


def replicate(source: Path, out: Path, first: int, copies: int) -> int:
    """Write `copies` copies of every patient, numbered from `first`; returns rows."""
    out.mkdir(parents=True, exist_ok=True)
    rows = 0
    with duckdb.connect(config={"threads": 2}) as connection:
        for path in sorted(source.glob("*.csv")):
            table = path.stem
            read = f"read_csv('{path}', all_varchar=true, header=true)"
            columns = [] if table in SHARED_TABLES else OWN_IDS.get(table, CLINICAL)
            renamed = ", ".join(f"case when {c} is not null then md5({c} || '-' || copy)::uuid::varchar end as {c}" for c in columns)
            select = f"select * exclude (copy) replace ({renamed}) from {read}, range({first}, {first + copies}) as r(copy)"
            query = f"select * from {read}" if table in SHARED_TABLES else select
            found = connection.execute(f"copy ({query}) to '{out / path.name}' (header, delimiter ',')").fetchone()
            rows += int(found[0]) if found else 0
    return rows


_PLAIN = """
import sys, duckdb, pathlib
with duckdb.connect(config={"threads": 2}) as connection:
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.csv")):
        target = pathlib.Path(sys.argv[2]) / f"{path.stem}.parquet"
        connection.execute(f"copy (from read_csv('{path}', all_varchar=true, header=true)) to '{target}' (compression zstd)")
"""


def plain_copy(source: Path, out: Path, log: Path) -> Cost:
    """The same text to Parquet by DuckDB alone, no type, no check, no scrub: what to compare landing with."""
    out.mkdir(parents=True, exist_ok=True)
    cost = run([sys.executable, "-c", _PLAIN, str(source), str(out)], log=log)
    shutil.rmtree(out)
    return cost


def main() -> None:
    """Print the cost of a full build, of the same delivery again and of one per cent more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    parser.add_argument("--link", action="store_true", help="deliver by hard link instead of a copy (large runs)")
    options = parser.parse_args()
    source = need_shared() / "05_synthea_csv"
    copies = max(1, round(options.patients / 27))
    print(machine())
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
        work = options.keep or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        lake, log = work / "lake", work / "log.txt"
        rows = replicate(source, work / "full", 0, copies)
        more = replicate(source, work / "more", copies, max(1, round(copies / 100)))
        size = sum(p.stat().st_size for p in (work / "full").iterdir())
        print(f"{copies * 27:,} patients, {rows:,} rows, {size / 1e6:.0f} MB; then {more:,} rows more")
        print(f"plain       copy    {plain_copy(work / 'full', work / 'plain', log)}")
        for label, path, name in (("full build", "full", "d1"), ("same again", "full", "d2"), ("1 % more", "more", "d3")):
            delivered = biodam(
                "deliver", str(work / path), "--site", "h03", "--feed", "synthea_csv", "--delivery-id", name,
                *(["--link"] if options.link else []), lake=lake, log=log,
            )  # fmt: skip
            built = biodam("run", lake=lake, log=log)
            print(f"{label:11} deliver {delivered}")
            print(f"{label:11} run     {built}")
        idle = biodam("run", lake=lake, log=log)
        print(f"nothing new run     {idle}")
        biodam("status", "--json", lake=lake, log=work / "status.json")
        print(json.dumps(json.loads((work / "status.json").read_text()), indent=None)[:400])


if __name__ == "__main__":
    main()
