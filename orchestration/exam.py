"""The exam of linkage, for its asset: made people and expected marks meet here, as neither room may know the other."""

from __future__ import annotations

from collections.abc import Iterator

from assets.governance.linkage_score_asset import Marked

_SEED, _ERRORS = 7, (1, 2, 3)


def examine_linkage(people: int) -> Iterator[Marked]:
    """One mark a rate of errors: as expected, twice and three times that."""
    from assets.simulation.linkage_exam import examine

    for mark in examine(people, seed=_SEED, errors=_ERRORS):
        pairs = mark.pairs
        yield Marked(
            mark.errors, pairs.precision, pairs.recall, pairs.by_number / pairs.true, pairs.found - pairs.both, mark.linked.proposed
        )
