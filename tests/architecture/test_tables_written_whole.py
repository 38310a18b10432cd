"""A table without buckets is written whole with every build, so it must not read a view that shows only the buckets of the run.

Prevents: `gov_consent_events` and `gov_people_by_site` counted the people of a delivery instead of everybody (2026-11-27).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from assets.dbt_manifest import Node, load_manifest

_LIMITED = re.compile(r"\b(consented_rows|unconsented_rows|withdrawn_rows|person_ref|bucket_predicate|touched)\s*\(")


def _round(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Tables written whole -> what they read that is limited."""

    def limited(unique_id: str) -> bool:
        node = nodes.get(unique_id)
        if node is None or node["config"]["materialized"] not in ("view", "ephemeral"):
            return False
        return bool(_LIMITED.search(node["raw_code"])) or any(map(limited, node["depends_on"]["nodes"]))

    whole = [n for n in nodes.values() if n["config"]["materialized"] == "delta" and not n["config"].get("partition_by")]
    assert len(whole) > 30
    found = {n["name"]: [i.rpartition(".")[2] for i in n["depends_on"]["nodes"] if limited(i)] for n in whole}
    return {name: views for name, views in found.items() if views}


def test_no_table_that_is_written_whole_reads_the_buckets_of_a_run() -> None:
    nodes = {k: n for k, n in load_manifest()["nodes"].items() if n["resource_type"] == "model"}
    assert _round(nodes) == {}
    sites = nodes["model.biodam.person_site"]
    unbucketed = {**sites, "config": {k: v for k, v in sites["config"].items() if k != "partition_by"}}
    assert _round({**nodes, "model.biodam.person_site": unbucketed}) == {"person_site": ["stg_people__sightings"]}
