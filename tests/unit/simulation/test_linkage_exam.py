"""Linkage on made people: nobody is joined to a stranger, and more people are found than by number alone."""

from __future__ import annotations

from assets.simulation.linkage_exam import examine


def test_a_small_country_is_linked_without_a_stranger() -> None:
    (mark,) = examine(400, seed=3, errors=(1,))
    assert mark.pairs.precision == 1
    assert mark.pairs.by_number < 0.7 * mark.pairs.true
    assert mark.pairs.recall > 0.97
    assert mark.linked.merged > 100
