"""The catalogue as a Dagster asset: what is published, and when.

Belongs here: which models are published. Does not belong here: how the file is written (`catalogue`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import duckdb

from assets.asset_events import must_report_all, still_current
from assets.dbt_manifest import Node, models
from assets.lake.paths import Lake
from assets.landing.workspace import Workspace
from assets.ledger.commits import Commits
from assets.planning import note_published
from assets.resources import LakeResource
from assets.serving.catalogue import PublishedModel, publish
from assets.upkeep.guard import require_whole

CATALOGUE = dg.AssetKey(["serve", "catalogue"])
_PUBLISHED = frozenset({"vocabulary", "omop", "marts", "release", "governance"})


def is_published(model: Node) -> bool:
    """True for tables that analysts see: by `meta.published`, else by stage or `access: public`; intermediate models never."""
    config = model.get("config", {})
    if config.get("materialized") != "delta" or model["name"].startswith("int_"):
        return False
    said = {**model.get("meta", {}), **config.get("meta", {})}.get("published")
    return bool(said) if said is not None else model["schema"] in _PUBLISHED or config.get("access") == "public"


def wanted_models(manifest: Mapping[str, Any], commits: Commits) -> list[PublishedModel]:
    """Published models at the newest version the ledger recorded; those never built are left out."""
    versions = commits.latest_versions()
    found = []
    for model in models(manifest):
        name = model.get("alias") or model["name"]
        version = versions.get(f"{model['schema']}/{name}")
        if is_published(model) and version is not None:
            columns = {c["name"]: c.get("description", "") for c in model.get("columns", {}).values()}
            found.append(PublishedModel(name, model["schema"], version, model.get("description", ""), columns))
    return found


def is_up_to_date(lake: Lake, wanted: list[PublishedModel]) -> bool:
    """True where the catalogue shows exactly these versions, descriptions included."""
    if not lake.catalogue.exists():
        return False
    try:
        with duckdb.connect(str(lake.catalogue), read_only=True) as connection:
            shown = connection.execute("select schema || '/' || name, version, description from biodam_tables").fetchall()
            connection.execute("select stamp from biodam_files limit 1")  # not there in a catalogue of an earlier Biodam
    except duckdb.Error:
        return False
    return sorted(shown) == sorted((m.key, m.version, m.description) for m in wanted)


def _hashes(workspace: Workspace, wanted: list[PublishedModel]) -> dict[str, str]:
    """Absolute path -> SHA-256 of every data file that a commit of these tables wrote."""
    return {
        str(workspace.lake.table(model.key) / file["path"]): file["sha256"]
        for model in wanted
        for row in workspace.upkeep.commits(model.key)
        for file in row["files"]
    }


def catalogue_asset(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """The read-only DuckDB file, swapped whole after each build."""
    deps = [dg.AssetKey([m["name"]]) for m in models(manifest) if is_published(m) or m["name"] == "consent_relation"]

    @dg.multi_asset(
        name="catalogue",
        specs=[
            dg.AssetSpec(
                CATALOGUE,
                deps=deps,
                group_name="serve",
                owners=["team:data-platform"],
                kinds={"duckdb"},
                skippable=True,
                description="Grain: one view a published table, pinned to the version of the last good run. Open it with `biodam sql` or any DuckDB.",
            )
        ],
    )
    def _catalogue(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        workspace = lake.workspace()
        with lake.hold("publishing"):
            wanted = wanted_models(manifest, workspace.commits)
            if is_up_to_date(workspace.lake, wanted) and not must_report_all(context):
                note_published(workspace)
                yield still_current("serve__catalogue")
                return
            require_whole(workspace, {m.key: m.version for m in wanted})
            build = (workspace.commits.last_build() or {}).get("run_id")
            workspace.audit.append("publish", tables=len(wanted), build=build)  # before: the record never lacks what readers can see
            done = publish(workspace.lake, wanted, hashes=_hashes(workspace, wanted))
            note_published(workspace)
        context.log.info(f"published {len(done.rows)} tables")
        metadata: dict[str, Any] = {
            "path": dg.MetadataValue.path(str(done.path)),
            "tables": len(done.rows),
            "rows": sum(done.rows.values()),
            "bytes": done.path.stat().st_size,
            "rows_by_table": dg.MetadataValue.json(dict(sorted(done.rows.items()))),
            "published_at": done.published_at.isoformat(timespec="seconds"),
        }
        yield dg.Output(None, output_name="serve__catalogue", metadata=metadata)

    return _catalogue
