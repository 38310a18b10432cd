"""The simulated country end to end: simulate, land, build, publish."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from bench.measure import biodam, machine


def main() -> None:
    """Print the cost of each stage and bytes and rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
        work = options.keep or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        lake, log = work / "lake", work / "log.txt"
        simulated = biodam("simulate", "--people", str(options.people), "--seed", "7", "--out", str(work / "sim"), lake=lake, log=log)
        print(f"simulate    {simulated}")
        source = work / "sim" / "deliveries"
        size = sum(p.stat().st_size for p in source.rglob("*") if p.is_file())
        lake.mkdir(parents=True, exist_ok=True)
        shutil.move(source, lake / "inbox")
        print(f"{options.people:,} people, {size / 1e6:,.0f} MB delivered")
        print(f"run         {biodam('run', lake=lake, log=log)}")
        print(f"run (idle)  {biodam('run', lake=lake, log=log)}")
        tables = sum(p.stat().st_size for p in (lake / "tables").rglob("*") if p.is_file())
        print(f"tables      {tables / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
