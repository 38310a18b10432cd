"""Consent as the data team sees it: one page a build.

Belongs here: reading the governance models, what Dagster is told. Does not belong here: the page (`consent_page`), the rule that no model goes
round consent (`consent_asset`).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.asset_events import must_report_all, still_current
from assets.governance.consent_page import ConsentCounts, consents_page
from assets.governance.data_use import SMALL_CELL
from assets.governance.undated import RELATION, count_undated, tables_without_days
from assets.lake.extensions import open_duckdb
from assets.landing.workspace import Workspace
from assets.resources import LakeResource

CONSENTS = dg.AssetKey(["govern", "consents"])
_MODELS = ("gov_consent_status", "gov_consent_events", "gov_people_by_site")


@dg.multi_asset(
    name="consents",
    specs=[
        dg.AssetSpec(
            CONSENTS,
            deps=[dg.AssetKey([name]) for name in _MODELS],
            group_name="govern",
            owners=["team:governance"],
            kinds={"markdown"},
            skippable=True,
            description="Grain: one page a build that changed consent, or records where consent covers some from a day on. Who agrees to what, who came"
            " and who left, people by site and arm, events that nobody understands, records without a date. Counts of 1 to 4 are withheld.",
        )
    ],
)
def consents(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """The page of consents, drawn anew when a build wrote any of its tables."""
    workspace = lake.workspace()
    held = workspace.commits.data_versions()
    versions = {name: held.get(f"governance/{name}") for name in _MODELS}
    of_consent = str({**versions, RELATION: held.get(RELATION)})
    with_records = str([of_consent, *((key, held.get(key)) for key in tables_without_days())])
    if None in versions.values() or (_shown(context) in (of_consent, with_records) and not must_report_all(context)):
        yield still_current("govern__consents")
        return
    counts = read_counts(workspace)
    numbers = {
        "people_by_scope": dg.MetadataValue.json(_by_scope(counts)),
        "events_not_understood": sum(r["event_count"] or 0 for r in counts.events if r["is_refused"]),
        "records_without_a_date": sum(r["record_count"] for r in counts.undated or () if r["record_count"] >= SMALL_CELL),
        "events_to_look_at": sum(r["event_count"] or 0 for r in counts.events if r["finding_code"] != "understood" and not r["is_refused"]),
    }
    last = workspace.commits.last_build() or {}
    page = dg.MetadataValue.md(consents_page(counts, day=lake.day, next_change=last.get("next_consent_change")))
    read = of_consent if counts.undated is None else with_records
    yield dg.Output(None, output_name="govern__consents", metadata={"page": page, **numbers, "versions": read})


def read_counts(workspace: Workspace) -> ConsentCounts:
    """The newest rows of the governance models on consent, and what they leave out for want of a date."""
    with open_duckdb() as connection:
        found = []
        for name in _MODELS:
            cursor = connection.execute(f"select * from {workspace.scan(f'governance/{name}')}")
            names = [c[0] for c in cursor.description or ()]
            found.append([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
    status, events, people = found
    return ConsentCounts(status, events, people, undated=count_undated(workspace.lake, workspace.commits.latest_versions()))


def _by_scope(counts: ConsentCounts) -> dict[str, int]:
    totals: dict[str, int] = {}
    for row in counts.status:
        totals[row["scope_code"]] = totals.get(row["scope_code"], 0) + (row["people_count"] or 0)
    return totals


def _shown(context: dg.AssetExecutionContext) -> str | None:
    event = context.instance.get_latest_materialization_event(CONSENTS)
    shown = event.asset_materialization.metadata.get("versions") if event and event.asset_materialization else None
    return str(shown.value) if shown else None
