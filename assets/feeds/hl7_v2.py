"""HL7 v2 messages of a hospital's interface engine."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from assets.feeds.landed import landed
from assets.sites.site import Site


def assets(sites: Mapping[str, Site]) -> list[dg.AssetsDefinition]:
    """Raw tables of the family `hl7_v2`. Grain of each: its contract."""
    return [landed("hl7_v2", sites=sites)]
