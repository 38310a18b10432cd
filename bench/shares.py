"""Where the CPU of a landing goes: start, counting, parsing, pseudonymisation, Parquet and Delta, and the price of durability apart.

The files are those of `bench.memory`. Functions are timed from outside in the landing process, each without what it calls of the others, so that
the parts add up; the parsing child is counted whole, scrub included. Two deliveries of the same people: the first finds none of them in the vault.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.measure import machine, run
from bench.memory import KINDS, deliver

PARTS = (
    ("door: SHA-256 of the delivery", "assets.landing.door:sha256_of"),
    ("count", "assets.landing.land:count_records"),
    ("pseudonymisation: vault", "assets.landing.land:resolve_people"),
    ("pseudonymisation: record ids", "assets.landing.land:_record_ids"),
    ("pseudonymisation: columns", "assets.landing.identify:Pseudonymiser.columns"),
    ("rows that say the same twice", "assets.landing.land:_Delivery._duplicates"),
    ("effects on others", "assets.landing.land:find_effects"),
    ("Parquet", "assets.lake.files:_TableWriter._flush"),
    ("Delta commit", "assets.lake.writer:TableWriter._commit"),
    ("durability: SHA-256 of data files", "assets.lake.durable:HashingFile.write"),
    ("durability: SHA-256 of logs", "assets.lake.writer:sha256_file"),
    ("durability: fsync", "os:fsync"),
)
"""Part -> the function that is it."""

TIMED = """
import importlib, json, resource, sys, time
began = time.process_time()
from pathlib import Path
parts, lake, out = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
from assets.landing.door import admit, closed_folders
from assets.landing import land as landing
from assets.landing.workspace import Workspace
spent, waited, inner = {"start: imports": time.process_time() - began}, {}, [0.0]

def timed(function, part):
    def call(*a, **k):
        start, clock = time.process_time(), time.perf_counter()
        inner.append(0.0)
        try:
            return function(*a, **k)
        finally:
            took = time.process_time() - start
            spent[part] = spent.get(part, 0.0) + took - inner.pop()
            waited[part] = waited.get(part, 0.0) + time.perf_counter() - clock
            inner[-1] += took
    return call

for part, place in parts:
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    holder = importlib.import_module(module)
    for step in outer:
        holder = getattr(holder, step)
    setattr(holder, name, timed(getattr(holder, name), part))
workspace = Workspace(lake)
for folder in closed_folders(workspace.lake.inbox):
    outcome = landing.land(workspace, admit(workspace, folder))
    print(outcome.state, outcome.delivered, outcome.landed, outcome.quarantined, outcome.duplicate)
whole = time.process_time() - began
child = resource.getrusage(resource.RUSAGE_CHILDREN)
spent["parse and scrub (child)"] = child.ru_utime + child.ru_stime
spent["the rest"] = whole - sum(v for k, v in spent.items() if k != "parse and scrub (child)")
out.write_text(json.dumps([spent, waited.get("durability: fsync", 0.0)]))
"""


def main() -> None:
    """Print the parts of each landing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=120)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    print(machine())
    for kind in options.kinds:
        with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
            for sequence in (1, 2):
                _print(kind, options.megabytes * 10**6, Path(folder), sequence)


def _print(kind: str, size: int, work: Path, sequence: int) -> None:
    held = deliver(work / "lake", kind, size, sequence)
    log, out = work / "land.log", work / "parts.json"
    run([sys.executable, "-c", TIMED, json.dumps(PARTS), str(work / "lake"), str(out)], log=log)
    spent, waited = json.loads(out.read_text(encoding="utf-8"))
    whole = sum(spent.values())
    whom = "people the vault has not seen" if sequence == 1 else "the same people, other records"
    print(f"{kind}, {held / 1e6:,.0f} MB, {whom}: {whole:.2f} CPU s; {log.read_text().strip().splitlines()[-1]}")
    for part, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {seconds:6.2f} CPU s  {seconds / whole:4.0%}  {part}")
    for name in ("pseudonymisation", "durability"):
        seconds = sum(s for part, s in spent.items() if part.startswith(name))
        print(
            f"  = {name}: {seconds:.2f} CPU s, {seconds / whole:.1%}"
            + (f"; waited {waited:.2f} s for the device" if name == "durability" else "")
        )


if __name__ == "__main__":
    main()
