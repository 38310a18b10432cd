"""Whether the vault of a lake takes the people of a simulated country for who they are.

Belongs here: patient numbers of truth against the vault. Does not belong here: facts (`score`), linkage at a size that no country has (`linkage_exam`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb

from assets.privacy.vault import LOCAL, Identifier, Vault
from assets.simulation.score import Score

STAGE = "people"
ACROSS, WITHIN, NUMBERS = "pairs of numbers at two sites", "pairs of numbers at one site", "patient numbers"


def score_people(truth: Path, vault: Vault) -> list[Score]:
    """Pairs of patient numbers that are one person: by truth, by the vault, by both.

    Args:
        truth: Folder `truth` of a simulated country.
        vault: The lake's.

    Returns:
        One line on how many numbers the vault knows; two on pairs of those it knows, at two sites and at one. A pair that waits for a data steward is not
        found.
    """
    numbers = _numbers(truth)
    found = vault.find_all(Identifier(LOCAL, site, number) for _, site, number in numbers)
    known = [(person, found[key].person_id, site) for person, site, number in numbers if (key := Identifier(LOCAL, site, number)) in found]
    true, said, both = (_pairs(known, *parts) for parts in ((0,), (1,), (0, 1)))
    true_at_one, said_at_one, both_at_one = (_pairs(known, *parts, 2) for parts in ((0,), (1,), (0, 1)))
    return [
        Score(STAGE, "", NUMBERS, len(numbers), len(known), len(known)),
        Score(STAGE, "", ACROSS, true - true_at_one, said - said_at_one, both - both_at_one),
        Score(STAGE, "", WITHIN, true_at_one, said_at_one, both_at_one),
    ]


def _numbers(truth: Path) -> list[tuple[int, str, str]]:
    """(person, site, number) of every number that a site gave."""
    with duckdb.connect() as connection:
        people = connection.read_parquet(str(truth / "people.parquet"))
        columns = [name for name in people.columns if "_number" in name and name[1:3].isdigit()]
        rows = people.select("person", *columns).fetchall()
    return [(person, name[:3], number) for person, *given in rows for name, number in zip(columns, given, strict=True) if number]


def _pairs(rows: Sequence[tuple[int | str, ...]], *parts: int) -> int:
    """Pairs of rows that agree in these parts."""
    return sum(n * (n - 1) // 2 for n in Counter(tuple(row[i] for i in parts) for row in rows).values())
