"""Resolution of people at overlapping hospitals: precision, recall, CPU seconds, peak memory.

    nice .venv/bin/python -m bench.linkage --people 100000

The whole way of identity: identifiers resolved in the vault, descriptions sealed and kept, linkage in its own process, merges stored. Pairs are pairs of
records of different hospitals; a pair counts as found where the vault says they are one person.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from assets.privacy.demographics import Demographics
from assets.privacy.linkage import Linked, link_people
from assets.privacy.vault import LOCAL, RESIDENT, Identifier, Vault, open_vault
from assets.simulation.overlap import HOSPITALS, Records, overlap

_DELIVERY = 50_000


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
            _land(vault, records, rows, homes)
            landed = _cpu()
            done = link_people(vault, Path(folder))
            _say(name, len(rows), landed - started, _cpu() - landed, done)
        _score(vault, records, homes)
    own, child = (resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"peak memory: {own:.2f} GB this process, {child:.2f} GB the comparing process")


def _land(vault: Vault, records: Records, rows: np.ndarray, homes: np.ndarray) -> None:
    for at in range(len(HOSPITALS)):
        mine = rows[records.hospital[rows] == at]
        for start in range(0, len(mine), _DELIVERY):
            part = mine[start : start + _DELIVERY]
            numbers = [f"{p:09d}" for p in records.person[part].tolist()]
            groups = [
                [Identifier(LOCAL, HOSPITALS[at], number), *([Identifier(RESIDENT, "", f"9{number}000")] if has else [])]
                for number, has in zip(numbers, records.has_number[part].tolist(), strict=True)
            ]
            found = vault.resolve(site=HOSPITALS[at], delivery=f"{at}/{start}/{len(rows)}", groups=groups, locals_=())
            homes[part] = [found.homes[number].person_id for number in numbers]
            said = zip(
                homes[part].tolist(), records.name[part], records.roman[part], records.birth_date[part], records.sex[part], records.phone[part],
                records.region[part].tolist(), records.address[part], strict=True,
            )  # fmt: skip
            vault.keep_demographics(HOSPITALS[at], 1, {p: Demographics(n, r, b, s, t, f"지역{g}", a) for p, n, r, b, s, t, g, a in said})


def _score(vault: Vault, records: Records, homes: np.ndarray) -> None:
    """Pairs within truth, within what the vault says, and within both."""
    by_number = Counter(_pairs_within(records.person[records.has_number]))
    people = sorted(set(homes.tolist()))
    now = {
        p: ref.person_id for start in range(0, len(people), 10_000) for p, ref in vault.people_of(people[start : start + 10_000]).items()
    }
    said = np.array([now[h] for h in homes.tolist()])
    true, found = sum(_pairs_within(records.person)), sum(_pairs_within(said))
    both = sum(_pairs_within(records.person * 1_000_003 + 0 * said, said))
    print(f"true pairs {true:,} (by resident number alone {sum(k * v for k, v in by_number.items()):,}), found {found:,}, both {both:,}")
    print(f"precision {both / found:.6f}  recall {both / true:.6f}  false pairs {found - both:,}")


def _pairs_within(*columns: np.ndarray) -> list[int]:
    """Pairs of rows that agree in all columns, one number a group."""
    _, counts = np.unique(np.stack(columns), axis=1, return_counts=True) if len(columns) > 1 else np.unique(columns[0], return_counts=True)
    return [int(c) * (int(c) - 1) // 2 for c in counts]


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
