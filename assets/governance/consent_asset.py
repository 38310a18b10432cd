"""The consent check in Dagster: it blocks publishing.

Belongs here: reporting. Does not belong here: the rules (`consent_check`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets.governance.consent_check import RELATION, models_going_round, with_compiled
from assets.resources import LakeResource

NAME = "no_model_goes_round_consent"


def consent_check(parsed: Mapping[str, Any]) -> dg.AssetChecksDefinition:
    """A blocking check on the consent relation.

    Args:
        parsed: The manifest as it was parsed; once a build ran, the SQL it compiled is read too.
    """

    @dg.asset_check(
        asset=dg.AssetKey([RELATION]), name=NAME, blocking=True,
        description="Every model that reads people does so through consented_rows. A model that goes round it is named, and nothing is published.",
    )  # fmt: skip
    def _check(lake: LakeResource) -> dg.AssetCheckResult:
        control = Path(lake.root) / "control"
        manifest = with_compiled(parsed, control / "dbt" / "compiled")
        seen = _seen(control / "consent_check.json")
        before = len(seen)
        found = models_going_round(manifest, seen=seen)
        if len(seen) > before:
            temporary = control / "consent_check.tmp"
            temporary.write_text(json.dumps(sorted(seen)), encoding="utf-8")
            temporary.replace(control / "consent_check.json")
        metadata = {
            "models": sum(n["resource_type"] == "model" for n in manifest["nodes"].values()),
            "going_round": dg.MetadataValue.md("\n".join(f"- {v}" for v in found) or "none"),
        }
        return dg.AssetCheckResult(passed=not found, severity=dg.AssetCheckSeverity.ERROR, metadata=metadata)

    return _check


def _seen(path: Path) -> set[str]:
    """Queries that were found in order before: parsing them again costs 3 CPU s a run."""
    try:
        return set(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return set()
