"""C-CDA documents of a hospital's record system."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from assets.feeds.landed import landed
from assets.sites.site import Site


def assets(sites: Mapping[str, Site]) -> list[dg.AssetsDefinition]:
    """Raw tables of the family `ccda`. Grain of each: its contract."""
    return [landed("ccda", sites=sites)]
