"""Data points of wearables, home devices and lifelog apps (Open mHealth, IEEE 1752)."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from assets.feeds.landed import landed
from assets.sites.site import Site


def assets(sites: Mapping[str, Site]) -> list[dg.AssetsDefinition]:
    """Raw tables of the family `open_mhealth`. Grain of each: its contract."""
    return [landed("open_mhealth", sites=sites)]
