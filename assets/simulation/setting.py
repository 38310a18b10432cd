"""Which country, with which codes, from which seed, and which chunk of its people.

Belongs here: what every generator is told. Does not belong here: people or records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.simulation.codes import Codes
from assets.simulation.country import Country
from assets.simulation.frame import Ints, stream, unique_ids


@dataclass(frozen=True)
class Setting:
    """One chunk of one country.

    Attributes:
        country: Parameters.
        codes: Code lists.
        seed: Seed of the country.
        chunk: Number of this chunk, from 0.
        chunks: Chunks in the country.
        people: People in the country.
    """

    country: Country
    codes: Codes
    seed: int
    chunk: int
    chunks: int
    people: int = 0

    def stream(self, stage: str) -> np.random.Generator:
        """Random numbers of one stage of this chunk."""
        return stream(self.seed, self.chunk, stage)

    def ids(self, count: int) -> Ints:
        """Numbers for true records of one table."""
        return unique_ids(self.chunk, count)

    def extra_ids(self, begin: int, count: int) -> Ints:
        """Numbers for planted records of one table, `begin` of which are given out already."""
        return unique_ids(self.chunk, begin + count, extra=True)[begin:]
