"""Everything Dagster knows of Biodam, put together.

Belongs here: joining assets, resources, jobs, schedules and sensors. Does not belong here: any of them. Loading opens no table, no database
and no network; it reads site files and the dbt manifest.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.dbt_manifest import PROJECT, load_manifest
from assets.feeds import reference
from assets.feeds.landed import landed, people_specs
from assets.governance.consent_asset import consent_check
from assets.governance.consents import consents
from assets.governance.deliveries import deliveries_asset
from assets.governance.erasures_asset import erasures
from assets.governance.linkage_asset import LINKAGE, linkage_asset
from assets.governance.linkage_score_asset import linkage_score_asset
from assets.governance.upkeep_assets import UPKEEP
from assets.resources import FastDbt, LakeResource
from assets.serving.published import CATALOGUE, catalogue_asset
from assets.sites.feed_kinds import FEED_KINDS
from assets.sites.site import load_sites
from assets.warehouse import warehouse_assets
from orchestration.alerts import failed_runs
from orchestration.exam import examine_linkage
from orchestration.jobs import everything, linkage_exam, scrub, upkeep
from orchestration.schedules import SCHEDULES
from orchestration.sensors import aged_consent, closed_deliveries
from orchestration.settings import Settings, read_settings

warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def build_defs(overrides: Mapping[str, Any] | None = None, settings: Settings | None = None) -> dg.Definitions:
    """Fresh definitions.

    Args:
        overrides: Resources that replace those made from the settings.
        settings: Default: from the environment.

    Raises:
        ManifestMissing: The dbt project was not parsed.
        SiteError: A site file does not hold.
        SettingsError: The environment does not hold.
    """
    settings = settings or read_settings()
    settings.export()
    manifest = load_manifest()
    sites = load_sites(settings.sites_folder) if settings.sites_folder else load_sites()
    landing = [landed(feed, sites=sites) for feed in FEED_KINDS]
    ends = [CATALOGUE, *(dg.AssetKey(["delivery", feed]) for feed in sorted({f for a in landing for f in _feeds(a)}))]
    return dg.Definitions(
        assets=[
            *landing,
            *people_specs(sites, landing),
            reference.assets(),
            *reference.vocabulary_specs(),
            linkage_asset(ends[1:]),
            warehouse_assets(manifest, after=[LINKAGE]),
            catalogue_asset(manifest),
            consents,
            deliveries_asset(sites, ends),
            *UPKEEP,
            erasures,
            linkage_score_asset(examine_linkage),
        ],
        asset_checks=[consent_check(manifest)],
        jobs=[everything, upkeep, scrub, linkage_exam],
        schedules=SCHEDULES,
        sensors=[closed_deliveries, aged_consent, failed_runs],
        executor=dg.in_process_executor,
        resources={**_resources(settings), **(overrides or {})},
    )


def _feeds(definition: dg.AssetsDefinition) -> list[str]:
    return [key.path[1] for key in definition.keys if key.path[0] == "delivery"]


def _resources(settings: Settings) -> dict[str, Any]:
    return {
        "lake": LakeResource(
            root=str(settings.lake_root),
            control_url=settings.control_url or "",
            vault_url=settings.vault_url or "",
            vault_key_file=str(settings.vault_key_file or ""),
            vault_key=dg.EnvVar("BIODAM_VAULT_KEY") if settings.vault_key else "",
            sites_folder=str(settings.sites_folder or ""),
            as_of=settings.as_of.isoformat() if settings.as_of else "",
            lock_wait_s=settings.lock_wait_s,
            retention_days=settings.retention_days,
        ),
        "dbt": FastDbt(
            project_dir=PROJECT, profiles_dir=PROJECT, dbt_executable=sys.executable, global_config_flags=["-m", "assets.dbt_process"]
        ),
    }
