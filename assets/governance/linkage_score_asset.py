"""What linkage is worth, in Dagster: an exam on people whose truth is known, with its plot.

Belongs here: what Dagster is told, the marks that are asked for. Does not belong here: the exam (`assets/simulation/linkage_exam`), linking the lake's own
people (`linkage_asset`), of whom nobody knows the truth.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.governance.plots import lines

SCORE = dg.AssetKey(["upkeep", "linkage_score"])
PRECISE, COMPLETE = "precision_is_9999_in_10000", "recall_is_99_in_100"
LEAST_PRECISION, LEAST_RECALL = 0.9999, 0.99
"""Precision is asked for at every rate of errors: joining two strangers is the fatal error. Recall at the rates that we expect (factor 1)."""


@dataclass(frozen=True)
class Marked:
    """One rate of errors: the factor on the expected rates, shares, pairs of strangers joined, pairs that wait for a steward."""

    errors: float
    precision: float
    recall: float
    recall_by_number: float
    false_pairs: int
    queued: int


class ExamConfig(dg.Config):
    """Of one exam."""

    people: int = 20_000
    """How many people are made for each rate of errors."""


def linkage_score_asset(examine: Callable[[int], Iterable[Marked]]) -> dg.AssetsDefinition:
    """`upkeep/linkage_score`: precision and recall of linkage with the rules as they are.

    Args:
        examine: Number of people -> one mark a rate of errors, the expected one among them.
    """
    spec = dg.AssetSpec(
        SCORE,
        group_name="upkeep",
        owners=["team:governance"],
        kinds={"duckdb"},
        description="Grain: one exam. People of a made country, described by three hospitals at several rates of errors, are linked in a vault of their own,"
        " and what is found is compared with the truth. Says nothing of the lake's own people.",
    )
    checks = [
        dg.AssetCheckSpec(
            PRECISE, asset=SCORE, description=f"Of pairs found, at least {LEAST_PRECISION} are one person, at every rate of errors."
        ),
        dg.AssetCheckSpec(
            COMPLETE, asset=SCORE, description=f"Of pairs that are one person, at least {LEAST_RECALL} are found, at the expected rate."
        ),
    ]

    @dg.multi_asset(name="linkage_score", specs=[spec], check_specs=checks)
    def linkage_score(config: ExamConfig) -> Iterator[Any]:
        marks = sorted(examine(config.people), key=lambda m: m.errors)
        (expected,) = (m for m in marks if m.errors == 1)
        numbers = {"people": config.people, "precision": expected.precision, "recall": expected.recall, "false_pairs": expected.false_pairs}
        yield dg.Output(None, output_name="upkeep__linkage_score", metadata={"page": dg.MetadataValue.md(page(marks)), **numbers})
        worst = min(m.precision for m in marks)
        yield dg.AssetCheckResult(
            asset_key=SCORE, check_name=PRECISE, passed=worst >= LEAST_PRECISION, metadata={"lowest_precision": worst}
        )
        yield dg.AssetCheckResult(
            asset_key=SCORE, check_name=COMPLETE, passed=expected.recall >= LEAST_RECALL, metadata={"recall": expected.recall}
        )

    return linkage_score


def page(marks: Sequence[Marked]) -> str:
    """Plot and table, as Markdown."""
    shares = {"linkage": [m.recall for m in marks], "resident number alone": [m.recall_by_number for m in marks]}
    plot = lines("Recall of pairs by errors in records (1: as expected)", [m.errors for m in marks], shares, unit="recall")
    rows = [
        f"| {m.errors:g} | {m.precision:.6f} | {m.recall:.4f} | {m.recall_by_number:.4f} | {m.false_pairs} | {m.queued} |" for m in marks
    ]
    head = "| errors | precision | recall | by number alone | pairs of strangers joined | pairs queued |\n|---|---|---|---|---|---|"
    return "\n".join([plot, "", head, *rows])
