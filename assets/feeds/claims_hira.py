"""Claims of the Health Insurance Review and Assessment Service."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from assets.feeds.landed import landed
from assets.sites.site import Site


def assets(sites: Mapping[str, Site]) -> list[dg.AssetsDefinition]:
    """Raw tables of the family `claims_hira`. Grain of each: its contract."""
    return [landed("claims_hira", sites=sites)]
