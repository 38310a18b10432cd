"""The parsed dbt project: where its manifest is, whether it is current, how it is made.

Belongs here: `dbt parse` and its result. Does not belong here: building models (`assets/warehouse.py`). No Dagster, no dbt import.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from assets.quiet import REPOSITORY, code_version

PROJECT = REPOSITORY / "dbt_project"
MANIFEST = PROJECT / "target" / "manifest.json"
PARSED = PROJECT / "target" / "partial_parse.msgpack"
"""The same as dbt keeps it for itself; builds start from it instead of parsing."""
_STAMP = PROJECT / "target" / "manifest.stamp"

Node = Mapping[str, Any]

_BESIDE_ROWS = re.compile(r"raw/people/.*|raw/.*/tombstone")
"""Raw tables that add nothing to a model but change which rows of others it shows."""


class ManifestMissing(RuntimeError):
    """The dbt project was not parsed, or not since it changed; the message says how to parse it."""


def dbt_executable() -> Path:
    """The dbt of this environment, never another one on PATH."""
    return Path(sys.executable).with_name("dbt")


def is_current() -> bool:
    """True where the manifest is that of the files as they are."""
    try:
        return MANIFEST.exists() and _STAMP.read_text(encoding="utf-8") == code_version()
    except FileNotFoundError:
        return False


def parse_project() -> None:
    """Run `dbt parse` and note which files the manifest stands for.

    Raises:
        ManifestMissing: dbt could not parse the project; the message holds its last lines.
    """
    version = code_version()
    done = subprocess.run(
        [dbt_executable(), "--quiet", "--no-use-colors", "parse", "--profiles-dir", PROJECT],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = [line for line in done.stdout.splitlines() if line.strip()][-6:]
        raise ManifestMissing(f"dbt cannot parse dbt_project: {' '.join(last)}")
    load_manifest.cache_clear()
    _STAMP.write_text(version, encoding="utf-8")


def forget_other_checkout(target: Path) -> None:
    """Drop dbt's cached parse from a target folder if another checkout left it: seeds would be looked for where that one stood.

    Args:
        target: dbt's target folder of a lake.
    """
    mark = target / "checkout"
    if not mark.exists() or mark.read_text(encoding="utf-8") != str(PROJECT):
        (target / "partial_parse.msgpack").unlink(missing_ok=True)
        mark.write_text(str(PROJECT), encoding="utf-8")


@cache
def load_manifest() -> Mapping[str, Any]:
    """The manifest as dbt wrote it.

    Raises:
        ManifestMissing: There is none.
    """
    if not MANIFEST.exists():
        raise ManifestMissing("dbt_project/target/manifest.json is missing. Remedy: run `make setup` (or `make parse`), then load again")
    loaded: Mapping[str, Any] = json.loads(MANIFEST.read_bytes())
    return loaded


def models(manifest: Mapping[str, Any]) -> Iterator[Node]:
    """All models, sorted by name."""
    found = [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]
    yield from sorted(found, key=lambda n: n["name"])


def raw_key(source: Node) -> str | None:
    """Table key of a source that is a raw table (`raw_fhir.patient` -> `raw/fhir/patient`), else None."""
    schema = source["source_name"]
    return f"raw/{schema.removeprefix('raw_')}/{source['name']}" if schema.startswith("raw_") else None


def table_key(source: Node) -> str:
    """Table key of any source: raw tables, and those of `reference`."""
    return raw_key(source) or f"{source['source_name']}/{source['name']}"


def in_build_order(manifest: Mapping[str, Any]) -> list[Node]:
    """Models and seeds that dbt makes (not ephemeral ones), each after what it reads."""
    return [n for n in _ordered(manifest) if n.get("config", {}).get("materialized") != "ephemeral"]


def untouched_nodes(manifest: Mapping[str, Any], changed: Collection[str], *, day_changed: bool) -> list[Node]:
    """Models and seeds that a build need not make again, in build order.

    Args:
        manifest: The parsed project.
        changed: Keys of raw and reference tables that have another version than the last build read.
        day_changed: The as-of date is another one: models that ask for it are made again.
    """
    asks_day = {"macro.biodam.as_of"} if day_changed else set()
    touched: set[str] = set()
    left = []
    for node in _ordered(manifest):
        depends = node.get("depends_on", {})
        reads = depends.get("nodes", [])
        sources = (manifest["sources"][i] for i in reads if i in manifest["sources"])
        if touched.intersection(reads) or asks_day.intersection(depends.get("macros", [])) or any(table_key(s) in changed for s in sources):
            touched.add(node["unique_id"])
        elif node.get("config", {}).get("materialized") != "ephemeral":
            left.append(node)
    return left


def empty_models(manifest: Mapping[str, Any], landed: Collection[str]) -> set[str]:
    """Ids of models that read raw tables of which none has ever been landed: they hold no row.

    Args:
        manifest: The parsed project.
        landed: Keys of raw tables that exist.
    """
    found = set()
    for unique_id, node in manifest["nodes"].items():
        sources = (manifest["sources"][i] for i in node.get("depends_on", {}).get("nodes", []) if i in manifest["sources"])
        own = {key for s in sources if (key := raw_key(s)) is not None and not _BESIDE_ROWS.fullmatch(key)}
        if node["resource_type"] == "model" and own and own.isdisjoint(landed):
            found.add(unique_id)
    return found


def _ordered(manifest: Mapping[str, Any]) -> list[Node]:
    nodes = {k: n for k, n in manifest["nodes"].items() if n["resource_type"] in ("model", "seed", "snapshot")}
    graph = {k: [p for p in n.get("depends_on", {}).get("nodes", []) if p in nodes] for k, n in nodes.items()}
    return [nodes[k] for k in TopologicalSorter(graph).static_order()]
