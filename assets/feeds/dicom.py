"""Headers of DICOM files."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from assets.feeds.landed import landed
from assets.sites.site import Site


def assets(sites: Mapping[str, Site]) -> list[dg.AssetsDefinition]:
    """Raw tables of the family `dicom`. Grain of each: its contract."""
    return [landed("dicom", sites=sites)]
