"""`biodam score`: a lake against the truth of the simulated country it was fed with. Does not belong here: the comparison (`assets/simulation/score`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.commands.show import table
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.simulation.score import Score


def compare(settings: Settings, country: Path) -> list[Score]:
    """Lines of the report.

    Raises:
        UserError: The folder is no simulated country, or nothing is published yet.
    """
    from assets.simulation.score import score
    from assets.simulation.score_people import score_people
    from orchestration.errors import UserError

    workspace = settings.workspace()
    truth, catalogue = country / "truth", workspace.lake.catalogue
    if not (truth / "expected_counts.parquet").is_file():
        raise UserError(f"{country} holds no truth: give the folder that `biodam simulate --out` made")
    if not catalogue.is_file():
        raise UserError("nothing is published yet: run `biodam run` first")
    facts = score(truth, catalogue, settings.day, workspace.deliveries.all_rows(), workspace.deliveries.quarantined())
    return [*facts, *score_people(truth, workspace.vault)]


def as_text(scores: list[Score]) -> str:
    """A table with precision and recall."""
    rows = [[s.stage, s.site, s.what, s.true, s.found, s.both, _share(s.precision), _share(s.recall)] for s in scores]
    return table(["stage", "site", "what", "true", "found", "both", "precision", "recall"], rows)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
