"""How many people share a bucket.

Belongs here: the sizes. Does not belong here: who is in which bucket (`vault` keeps that), any table.

A bucket is the partition of every person-level table and the least that a change rewrites. Small ones make small changes cheap; each is a
file or more in each table, so there must not be many. Therefore buckets grow with the country: at every size 1 % new people fall into
about 1 % of the buckets' people, and a million people make 609 buckets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class BucketSizes:
    """Sizes by order of first sight.

    Attributes:
        steps: (people up to this many, people a bucket), ascending; each step is filled by whole buckets.
        beyond: People a bucket after the last step.
    """

    steps: tuple[tuple[int, int], ...] = ((16_384, 256), (147_456, 1_024))
    beyond: int = 2_048

    def bucket(self, ordinal: int) -> int:
        """Bucket of the `ordinal`-th person, counted from 1."""
        start = first = 0
        for end, size in self.steps:
            if ordinal <= end:
                return first + (ordinal - 1 - start) // size
            first += (end - start) // size
            start = end
        return first + (ordinal - 1 - start) // self.beyond

    def to_bytes(self) -> bytes:
        """As the vault keeps it."""
        return json.dumps({"steps": self.steps, "beyond": self.beyond}).encode()

    @staticmethod
    def from_bytes(raw: bytes) -> BucketSizes:
        """What `to_bytes` made."""
        kept = json.loads(raw)
        return BucketSizes(tuple((int(end), int(size)) for end, size in kept["steps"]), int(kept["beyond"]))
