"""Resolution of people at overlapping hospitals: precision, recall, CPU seconds, peak memory.

    nice .venv/bin/python -m bench.linkage --people 100000

The whole way of identity: identifiers resolved in the vault, descriptions sealed and kept, linkage in its own process, merges stored
(`assets/simulation/linkage_exam`).
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from assets.privacy.linkage import Linked, link_people
from assets.privacy.vault import open_vault
from assets.simulation.linkage_exam import count_pairs, play
from assets.simulation.overlap import overlap


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--people", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--increment", type=float, default=0.01, help="Share of people whose records come later, as a second delivery.")
    arguments.add_argument("--errors", type=float, default=1.0, help="Factor on the rates of slips, moves and changed telephones.")
    chosen = arguments.parse_args()
    records = overlap(chosen.people, seed=chosen.seed, errors=chosen.errors)
    late = records.person >= chosen.people * (1 - chosen.increment)
    with tempfile.TemporaryDirectory(prefix="biodam-linkage-") as folder:
        vault = open_vault(Path(folder) / "vault.db", Path(folder) / "key")
        homes = np.zeros(len(records), np.int64)
        for name, rows in (("first", np.flatnonzero(~late)), ("increment", np.flatnonzero(late))):
            started = _cpu()
            play(vault, records, rows, homes)
            landed = _cpu()
            done = link_people(vault, Path(folder))
            _say(name, len(rows), landed - started, _cpu() - landed, done)
        pairs = count_pairs(vault, records, homes)
    print(f"true pairs {pairs.true:,} (by resident number alone {pairs.by_number:,}), found {pairs.found:,}, both {pairs.both:,}")
    print(f"precision {pairs.precision:.6f}  recall {pairs.recall:.6f}  false pairs {pairs.found - pairs.both:,}")
    own, child = (resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"peak memory: {own:.2f} GB this process, {child:.2f} GB the comparing process")


def _say(name: str, records: int, landing: float, linking: float, done: Linked) -> None:
    print(
        f"{name}: {records:,} records; vault {landing:.1f} CPU s, linkage {linking:.1f} CPU s; pairs compared {done.compared:,}, people merged"
        f" {done.merged:,}, pairs queued {done.proposed:,}, kept apart {done.kept_apart:,}"
    )


def _cpu() -> float:
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(t.ru_utime + t.ru_stime for t in times)


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"wall {time.monotonic() - started:.0f} s")
