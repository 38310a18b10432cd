"""A feed as Dagster assets: its deliveries and the raw tables they land in, partitioned by site.

Belongs here: what Dagster is told about landing. Does not belong here: landing itself (`intake`, `assets/landing`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import dagster as dg

from assets.asset_events import blocking_result, must_report_all, output_name, selected_partitions, still_current
from assets.contracts.table import Entity, load_contract
from assets.feeds.intake import Landed, land_waiting, read_landed
from assets.feeds.raw_checks import CONSERVED, CONTRACT, check_conserved, check_contract
from assets.lake.commits import Snapshot, read_snapshot
from assets.ledger.schema import DeliveryState
from assets.resources import LakeResource
from assets.samples import sample_of
from assets.sites.feed_kinds import FEED_KINDS
from assets.sites.site import Site

GROUP = "land"
OWNER = "team:data-platform"
PEOPLE = ("sighting", "link")


def site_partitions(sites: Mapping[str, Site]) -> dg.StaticPartitionsDefinition:
    """One partition a site, for every raw table. A new site file shows after the code location is reloaded."""
    return dg.StaticPartitionsDefinition(sorted(sites))


def delivery_key(feed: str) -> dg.AssetKey:
    """Asset of a feed's deliveries."""
    return dg.AssetKey(["delivery", feed])


def landed(feed: str, *, sites: Mapping[str, Site], entities: Iterable[str] | None = None) -> dg.AssetsDefinition:
    """All raw tables that one feed fills.

    Args:
        feed: Feed name, for example `fhir_r4`.
        sites: All sites; those that send the feed are named in the description.
        entities: Entities of the family that this feed fills; default: all.

    Returns:
        `delivery/<feed>` and one asset a raw table; each can be run alone, a run lands all partitions in one step.
    """
    contract = load_contract(FEED_KINDS[feed].family)
    chosen = [contract.entities[name] for name in (entities or contract.entities)]
    senders = sorted(s.site for s in sites.values() if feed in s.feeds)
    specs = [_delivery_spec(feed, senders), *(_raw_spec(feed, entity) for entity in chosen)]
    anchor = delivery_key(feed)

    @dg.multi_asset(
        name=f"land_{feed}",
        specs=specs,
        partitions_def=site_partitions(sites),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[
            dg.AssetCheckSpec(
                CONSERVED, asset=anchor, blocking=True, description="Every delivered record is landed, quarantined or a duplicate."
            ),
            dg.AssetCheckSpec(
                CONTRACT, asset=anchor, blocking=True, description="Each table has the columns and types its contract promises."
            ),
        ],
        op_tags={"feed": feed},
    )
    def _land(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        workspace = lake.workspace()
        wanted = selected_partitions(context)
        everything = wanted is None or set(wanted) >= set(workspace.sites)
        chosen_sites = None if everything else wanted
        say = partial(context.log.info)
        with lake.hold(f"landing {feed}"):
            earlier = [
                read_landed(workspace, key)
                for key in workspace.deliveries.untold()
                if key.feed == feed and (chosen_sites is None or key.site in chosen_sites)
            ]
            done, failures = land_waiting(workspace, feed, sites=chosen_sites, run_id=context.run_id, say=say)
        for alert in failures:
            context.log.error(f"{alert.subject}: {alert.message}")
        report = _Report(context, workspace, feed, [*earlier, *done])
        yield from report.events()
        if anchor in context.selected_asset_keys:
            workspace.deliveries.mark_told(d.key for d in [*earlier, *done] if d.state == DeliveryState.LANDED)
        for name, check in ((CONSERVED, check_conserved), (CONTRACT, check_contract)):
            if dg.AssetCheckKey(anchor, name) in context.selected_asset_check_keys:
                yield from blocking_result(context, check(workspace, feed, [*earlier, *done]).result(anchor))

    return _land


def people_specs(sites: Mapping[str, Site], landing: Iterable[dg.AssetsDefinition]) -> list[dg.AssetSpec]:
    """`raw/people/*`: written by whichever delivery first names a person, so no step of its own makes them."""
    deps = sorted(key for definition in landing for key in definition.keys if key.path[0] == "delivery")
    return [_raw_spec("people", load_contract("people").entities[name], deps=deps, partitions=site_partitions(sites)) for name in PEOPLE]


def _delivery_spec(feed: str, senders: list[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        delivery_key(feed),
        group_name=GROUP,
        skippable=True,
        owners=[OWNER],
        kinds={"file"},
        description=f"Deliveries of feed {feed} at the door. Grain: one row a delivery. Sites that send it: {', '.join(senders) or 'none yet'}.",
        metadata={"feed": feed, "sites": ", ".join(senders)},
    )


def _raw_spec(
    feed: str, entity: Entity, *, deps: list[dg.AssetKey] | None = None, partitions: dg.PartitionsDefinition | None = None
) -> dg.AssetSpec:
    columns = [dg.TableColumn(c.name, c.type, c.description, dg.TableColumnConstraints(nullable=not c.required)) for c in entity.columns]
    sensitivity = "about people: read it only through consent" if entity.person_level else "no people in it"
    return dg.AssetSpec(
        dg.AssetKey(entity.key.split("/")),
        deps=deps if deps is not None else [delivery_key(feed)],
        group_name=GROUP,
        skippable=True,
        owners=[OWNER],
        kinds={"deltalake"},
        tags={"family": entity.family, "person_level": "yes" if entity.person_level else "no"},
        partitions_def=partitions,
        description=f"Grain: {entity.grain}. Raw, {sensitivity}.",
        metadata={"dagster/column_schema": dg.TableSchema(columns), "dagster/table_name": f"raw_{entity.family}.{entity.name}"},
    )


class _Report:
    """What one run landed, as materialisations of the (table, site) pairs that changed."""

    def __init__(self, context: dg.AssetExecutionContext, workspace: Any, feed: str, done: list[Landed]) -> None:
        self._context = context
        self._workspace = workspace
        self._family = FEED_KINDS[feed].family
        self._feed = feed
        self._done = done
        self._snapshots: dict[str, Snapshot] = {}

    def events(self) -> Iterator[Any]:
        """Materialisations, then one output for each selected asset."""
        by_site: dict[str, list[Landed]] = {}
        for landed in self._done:
            by_site.setdefault(landed.key.site, []).append(landed)
        selected = set(self._context.selected_asset_keys)
        asked = selected_partitions(self._context) or sorted(self._workspace.sites)
        sites = asked if must_report_all(self._context) else [s for s in asked if s in by_site]
        anchor = delivery_key(self._feed)
        if anchor in selected:
            yield from (self._delivery(anchor, site, by_site.get(site, [])) for site in sites)
            yield still_current(output_name(self._context, anchor))
        for key in sorted(selected - {anchor}):
            yield from self._table(key, sites, by_site)
            yield still_current(output_name(self._context, key))
        for name in PEOPLE:
            yield from self._people(name, by_site)

    def _delivery(self, anchor: dg.AssetKey, site: str, done: list[Landed]) -> dg.AssetMaterialization:
        ids = {d.key.delivery_id for d in done}
        metadata: dict[str, Any] = {
            "deliveries": len(done),
            "delivery_ids": ", ".join(d.key.delivery_id for d in done),
            "records_delivered": sum(d.delivered for d in done),
            "records_landed": sum(d.landed for d in done),
            "records_quarantined": sum(sum(d.quarantined.values()) for d in done),
            "records_duplicate": sum(d.duplicate for d in done),
            "bytes": sum(d.bytes for d in done),
            "cpu_s": round(sum(d.cpu_s for d in done), 2),
            "schema_drift": "; ".join(c.said for c in self._workspace.headers.changes(site=site, feed=self._feed) if c.delivery_id in ids)
            or "none",
            "refused": ", ".join(f"{d.key.delivery_id} ({d.reason})" for d in done if d.state == DeliveryState.REFUSED),
            **_quarantine(done),
        }
        return dg.AssetMaterialization(anchor, partition=site, metadata=metadata)

    def _table(self, key: dg.AssetKey, sites: list[str], by_site: Mapping[str, list[Landed]]) -> Iterator[dg.AssetMaterialization]:
        entity = key.path[-1]
        for site in sites:
            done = [d for d in by_site.get(site, []) if d.rows.get(entity)]
            if done or must_report_all(self._context):
                yield self._materialised(key, site, entity, done)

    def _materialised(self, key: dg.AssetKey, site: str, entity: str, done: list[Landed]) -> dg.AssetMaterialization:
        snapshot = self._snapshot("/".join(key.path)) if done else None
        metadata: dict[str, Any] = {
            "rows_landed": sum(d.rows[entity] for d in done),
            "delivery_ids": ", ".join(d.key.delivery_id for d in done),
            **_quarantine(done),
        }
        tags = None
        if snapshot is not None:
            inside = f"site={site}"
            files = [f for f in snapshot.files if inside in f.parts]
            metadata |= {
                "dagster/row_count": snapshot.rows,
                "rows_of_site": sum(snapshot.files[f] for f in files),
                "bytes": snapshot.bytes,
                "table_version": snapshot.version,
                "cpu_s_of_deliveries": round(sum(d.cpu_s for d in done), 2),
            }
            if (sample := sample_of(files[-1:])) is not None:
                metadata["sample"] = sample
            tags = {"dagster/data_version": str(snapshot.version)}
        return dg.AssetMaterialization(key, partition=site, metadata=metadata, tags=tags)

    def _people(self, name: str, by_site: Mapping[str, list[Landed]]) -> Iterator[dg.AssetMaterialization]:
        table = f"raw/people/{name}"
        version = self._workspace.commits.latest_version(table)
        if version is None or not by_site:
            return
        ours = {f"land {d.key}": site for site, done in by_site.items() for d in done}
        rows: Counter[str] = Counter()
        for commit in self._workspace.commits.rows(table):
            if commit["cause"] in ours:
                rows[ours[commit["cause"]]] += commit["rows"]
        for site, count in rows.items():
            metadata = {"rows_landed": count, "table_version": version, "dagster/row_count": self._snapshot(table).rows}
            yield dg.AssetMaterialization(dg.AssetKey(table.split("/")), partition=site, metadata=metadata)

    def _snapshot(self, table: str) -> Snapshot:
        if table not in self._snapshots:
            self._snapshots[table] = read_snapshot(self._workspace.lake, table)
        return self._snapshots[table]


def _quarantine(done: list[Landed]) -> dict[str, int]:
    """Quarantined records by reason, of the deliveries that filled the table."""
    reasons: Counter[str] = Counter()
    for landed in done:
        reasons.update(landed.quarantined)
    return {f"quarantined/{reason}": n for reason, n in sorted(reasons.items())}
