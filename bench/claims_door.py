"""Claims CSV to scrubbed, durable Delta: rows a CPU second through the door, hash, count, parse, people and commit included.

The input is what the simulated insurer a11 (NHIS) or reviewer a12 (HIRA) delivers for so many people: statements, diagnoses, lines and
prescriptions, with planted errors.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from assets.simulation.country import FEEDS
from assets.simulation.simulate import simulate
from bench.fhir_door import LAND
from bench.measure import Cost, machine, run

DELIVERY = "2026-03-full"


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
        for number in range(options.runs):
            cost, rows = _land(work, source, options.site, number)
            print(f"{options.site}: {rows:,} rows, {size / 1e6:.1f} MB   {cost}   {rows / cost.cpu_s / 1e6:.2f}M rows a CPU s")


def _land(work: Path, source: Path, site: str, number: int) -> tuple[Cost, int]:
    lake = work / f"lake{number}"
    shutil.copytree(source, lake / "inbox" / site / FEEDS[site] / DELIVERY)
    log = work / f"door{number}.log"
    cost = run([sys.executable, "-c", LAND, str(lake)], log=log)
    state, delivered, *_ = log.read_text().strip().splitlines()[-1].split()
    if state != "landed":
        raise SystemExit(f"the delivery was {state}")
    shutil.rmtree(lake)
    return cost, int(delivered)


if __name__ == "__main__":
    main()
