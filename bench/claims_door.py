"""Claims CSV to scrubbed, durable Delta: rows a CPU second through the door, hash, count, parse, people and commit included.

The input is what the simulated insurer a11 (NHIS) or reviewer a12 (HIRA) delivers for so many people: statements, diagnoses, lines and
prescriptions, with planted errors. It is landed twice: for people whom nobody knows yet, and again as a correction for people who are
known. The independent counter and the parsing child (bytes to typed, scrubbed columns) are also run by themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from assets.formats.sandbox import ENVIRONMENT
from assets.landing.job import build_job, file_jobs
from assets.landing.manifest import read_manifest
from assets.simulation.country import FEEDS
from assets.simulation.simulate import simulate
from assets.sites.site import load_sites
from bench.fhir_door import LAND
from bench.measure import Cost, machine, run

DELIVERY = "2026-03-full"

COUNT = """
import sys
from pathlib import Path
from assets.formats.count import count_records
print(sum(count_records(p, "delimited", None, encoding=sys.argv[2]).records for p in sorted(Path(sys.argv[1]).glob("*.csv"))))
"""


def main() -> None:
    """Print the cost of each run and the rows a CPU second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=40_000)
    parser.add_argument("--site", choices=("a11", "a12"), default="a11")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as name:
        work = Path(name)
        simulate(options.people, 7, work / "country")
        source = work / "country" / "deliveries" / options.site / FEEDS[options.site] / DELIVERY
        size = sum(p.stat().st_size for p in source.iterdir())
        encoding = "cp949" if options.site == "a11" else "utf-8"
        print(f"counter alone, start included: {run([sys.executable, '-c', COUNT, str(source), encoding])}")
        for number in range(options.runs):
            spool = work / f"spool{number}"
            spool.mkdir()
            parsed = parse(source, spool, options.site)
            shutil.rmtree(spool)
            lake = work / f"lake{number}"
            for what in ("first sight", "known people"):
                cost, rows = _land(lake, source, options.site, is_first=what == "first sight")
                print(f"{options.site}, {what}: {rows:,} rows, {size / 1e6:.1f} MB   {cost}   {rows / cost.cpu_s / 1e6:.2f}M rows a CPU s")
            print(f"parse and scrub alone: {parsed}   {rows / parsed.cpu_s / 1e6:.2f}M rows a CPU s")
            shutil.rmtree(lake)


def parse(source: Path, spool: Path, site: str) -> Cost:
    """The cost of the parsing child on a delivery, its start included."""
    feed = load_sites()[site].feeds[FEEDS[site]]
    job = spool / "_job.json"
    job.write_text(json.dumps(build_job("delimited", file_jobs(read_manifest(source)[0], source, feed, spool / "unpacked"), feed, spool)))
    return run([sys.executable, "-m", "assets.formats.child", str(job)], environment=ENVIRONMENT)


def _land(lake: Path, source: Path, site: str, *, is_first: bool) -> tuple[Cost, int]:
    target = lake / "inbox" / site / FEEDS[site] / (DELIVERY if is_first else f"{DELIVERY}-again")
    shutil.copytree(source, target)
    if not is_first:
        _rename(target)
    log = lake.with_suffix(".log")
    cost = run([sys.executable, "-c", LAND, str(lake)], log=log)
    state, delivered, *_ = log.read_text().strip().splitlines()[-1].split()
    if state != "landed":
        raise SystemExit(f"the delivery was {state}")
    return cost, int(delivered)


def _rename(folder: Path) -> None:
    """Make a copy of a delivery another one: a blank line more, the next sequence."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"delivery_id": folder.name, "sequence": manifest["sequence"] + 1}
    changed = manifest["files"][0]
    path = folder / changed["path"]
    path.write_bytes(path.read_bytes() + b"\n")
    changed |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


if __name__ == "__main__":
    main()
