"""The exam of linkage fails its check where strangers are joined at any rate of errors, or people are missed at the expected one."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from assets.governance.linkage_score_asset import COMPLETE, PRECISE, SCORE, Marked, linkage_score_asset

GOOD, WORSE = Marked(1, 1.0, 0.993, 0.64, 0, 2), Marked(2, 1.0, 0.97, 0.64, 0, 5)


def _checks(marks: Sequence[Marked]) -> tuple[dict[str, bool], str]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([linkage_score_asset(lambda _: marks)], instance=instance)
    metadata = result.asset_materializations_for_node("linkage_score")[0].metadata
    return {c.check_name: c.passed for c in result.get_asset_check_evaluations() if c.asset_key == SCORE}, str(metadata["page"].value)


def test_strangers_joined_and_people_missed_fail_their_own_check() -> None:
    passed, page = _checks([WORSE, GOOD])
    assert passed == {PRECISE: True, COMPLETE: True}
    assert page.startswith("![Recall of pairs by errors in records (1: as expected)](data:image/png;base64,")
    assert "| 2 | 1.000000 | 0.9700 | 0.6400 | 0 | 5 |" in page
    assert _checks([GOOD, Marked(2, 0.9998, 0.97, 0.64, 3, 5)])[0] == {PRECISE: False, COMPLETE: True}
    assert _checks([Marked(1, 1.0, 0.98, 0.64, 0, 2), WORSE])[0] == {PRECISE: True, COMPLETE: False}
