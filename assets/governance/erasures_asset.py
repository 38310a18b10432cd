"""Erasures in Dagster: what was erased, with which receipt, and whether all of it holds.

Belongs here: what Dagster is told. Does not belong here: erasing and judging (`assets/erasure`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.erasure.late import Late, late_samples
from assets.erasure.standing import Standing, standings
from assets.governance.markdown import table
from assets.resources import LakeResource

ERASURES = dg.AssetKey(["upkeep", "erasures"])
HOLD = "erasures_are_finished_and_hold"


@dg.multi_asset(
    name="erasures",
    specs=[
        dg.AssetSpec(
            ERASURES,
            group_name="upkeep",
            owners=["team:governance"],
            kinds={"markdown"},
            description="Grain: one page a night. Each erasure with its receipt and the results that have to be reissued; samples that came after their donors were"
            " erased. It names nobody.",
        )
    ],
    check_specs=[
        dg.AssetCheckSpec(
            HOLD, asset=ERASURES, description="No erasure is open, every receipt is what was signed, nothing taken away is there again."
        )
    ],
)
def erasures(lake: LakeResource) -> Iterator[Any]:
    """Look at every erasure again."""
    workspace = lake.workspace()
    found = standings(workspace)
    yield dg.Output(None, output_name="upkeep__erasures", metadata={**metadata_of(found), **metadata_of_samples(late_samples(workspace))})
    wrong = problems_of(found)
    yield dg.AssetCheckResult(
        passed=not wrong, asset_key=ERASURES, check_name=HOLD, metadata={"problems": dg.MetadataValue.md("\n".join(wrong) or "none")}
    )


def metadata_of(found: Sequence[Standing]) -> dict[str, Any]:
    """Numbers that Dagster plots, and the page."""
    header = ["erasure", "step", "begun", "ended", "people", "rows", "delivered files", "names left", "to reissue"]
    rows = [
        [s.erasure_id, s.step, s.started_at, s.finished_at, s.people, s.rows, s.files, s.names_left, ", ".join(s.to_reissue)] for s in found
    ]
    return {
        "erasures": len(found),
        "open": sum(not s.finished_at for s in found),
        "people_erased": sum(s.people for s in found),
        "receipts": dg.MetadataValue.md(table(header, rows) if rows else "Nobody was erased."),
    }


def metadata_of_samples(found: Sequence[Late]) -> dict[str, Any]:
    """How many records of biobanks came of people who were erased, and where they stand: only the holder can say which samples these are."""
    header = ["site", "delivery", "file", "records", "in the landing store"]
    rows = [
        [late.key.site, str(late.key), late.ref, ", ".join(map(str, late.records)), "yes" if late.is_stored else "blanked"]
        for late in found
    ]
    page = f"Each site has to look these records up in what it delivered, and destroy the samples they name.\n\n{table(header, rows)}"
    return {"late_sample_records": sum(len(late.records) for late in found), "late_samples": dg.MetadataValue.md(page if rows else "none")}


def problems_of(found: Sequence[Standing]) -> list[str]:
    """One line a problem."""
    return [f"- {s.erasure_id}: {s.problem}" for s in found if s.problem]
