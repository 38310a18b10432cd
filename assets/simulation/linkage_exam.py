"""What linkage is worth on people whose truth is known: the whole way of identity in a vault of its own, scored.

Belongs here: playing records of overlapping hospitals into a vault, counting pairs. Does not belong here: the records (`overlap`), Dagster
(`assets/governance/linkage_score_asset`), seconds and memory (`bench/linkage`).

A pair is two records of different hospitals, or of one; it counts as found where the vault says they are one person. What waits for a data steward is
not found.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assets.privacy.demographics import Demographics
from assets.privacy.linkage import Linked, link_people
from assets.privacy.vault import LOCAL, RESIDENT, Identifier, Vault, open_vault
from assets.simulation.overlap import HOSPITALS, Records, overlap

_DELIVERY = 50_000
_CHUNK = 10_000
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of records of one person.

    Attributes:
        true: By truth.
        found: By the vault.
        both: By both.
        by_number: Of the true ones, those in which both records have the resident number.
    """

    true: int
    found: int
    both: int
    by_number: int

    @property
    def precision(self) -> float:
        """Share of what was found that is true."""
        return self.both / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the truth that was found."""
        return self.both / self.true if self.true else 1.0


@dataclass(frozen=True)
class Mark:
    """What came of one rate of errors: the pairs, and what linkage did."""

    errors: float
    pairs: Pairs
    linked: Linked


def examine(people: int, *, seed: int, errors: Iterable[float]) -> Iterator[Mark]:
    """Link people of an own making, once for each factor on the rates of errors.

    Args:
        people: How many, each time.
        seed: The same seed gives the same marks.
        errors: Factors (`overlap.SLIPS`).
    """
    for factor in errors:
        records = overlap(people, seed=seed, errors=factor)
        with tempfile.TemporaryDirectory(prefix="biodam-linkage-") as folder:
            vault = open_vault(Path(folder) / "vault.db", Path(folder) / "key")
            homes = np.zeros(len(records), np.int64)
            play(vault, records, np.arange(len(records)), homes)
            linked = link_people(vault, Path(folder))
            yield Mark(factor, count_pairs(vault, records, homes), linked)


def play(vault: Vault, records: Records, rows: Ints, homes: Ints) -> None:
    """Let hospitals deliver some of their records.

    Args:
        vault: An open vault.
        records: All records.
        rows: Which are delivered.
        homes: Filled in at these rows: the home person of each record.
    """
    for at in range(len(HOSPITALS)):
        mine = rows[records.hospital[rows] == at]
        for start in range(0, len(mine), _DELIVERY):
            _deliver(vault, records, mine[start : start + _DELIVERY], homes, HOSPITALS[at], f"{at}/{start}/{len(rows)}")


def _deliver(vault: Vault, records: Records, part: Ints, homes: Ints, hospital: str, delivery: str) -> None:
    numbers = [f"{p:09d}" for p in records.person[part].tolist()]
    groups = [
        [Identifier(LOCAL, hospital, number), *([Identifier(RESIDENT, "", f"9{number}000")] if has else [])]
        for number, has in zip(numbers, records.has_number[part].tolist(), strict=True)
    ]
    found = vault.resolve(site=hospital, delivery=delivery, groups=groups, locals_=())
    homes[part] = [found.homes[number].person_id for number in numbers]
    said = zip(
        homes[part].tolist(), records.name[part], records.roman[part], records.birth_date[part], records.sex[part], records.phone[part],
        records.region[part].tolist(), records.address[part], strict=True,
    )  # fmt: skip
    vault.keep_demographics(hospital, 1, {p: Demographics(n, r, b, s, t, f"지역{g}", a) for p, n, r, b, s, t, g, a in said})


def count_pairs(vault: Vault, records: Records, homes: Ints) -> Pairs:
    """Pairs within truth, within what the vault says, and within both.

    Args:
        vault: After linkage.
        records: What was delivered.
        homes: Home person of each record.
    """
    people = sorted(set(homes.tolist()))
    now = {
        p: ref.person_id for start in range(0, len(people), _CHUNK) for p, ref in vault.people_of(people[start : start + _CHUNK]).items()
    }
    said = np.array([now[h] for h in homes.tolist()], dtype=np.int64)
    true, found, both = (_within(*columns) for columns in ((records.person,), (said,), (records.person, said)))
    return Pairs(true, found, both, _within(records.person[records.has_number]))


def _within(*columns: Ints) -> int:
    """Pairs of rows that agree in all columns."""
    _, counts = np.unique(np.stack(columns), axis=1, return_counts=True)
    return int((counts * (counts - 1) // 2).sum())
