"""What the parsing child is told: files, columns and limits, put together from contract, allow-list and site file.

Belongs here: joining the three. Does not belong here: parsing (`assets/formats`), any byte of the delivery.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assets.contracts.table import Entity, load_contract
from assets.formats.fhir_r4 import R4_TYPES
from assets.landing.files import FileJob
from assets.landing.manifest import Manifest, neutral_ref, split_name, table_of
from assets.landing.sheets import sheet_jobs
from assets.privacy.scrub import EntityRules, load_rules
from assets.sites.site import Feed

LIMITS = {"record_bytes": 16 * 2**20, "depth": 64, "file_bytes": 64 * 2**30, "memory_bytes": 8 * 2**30, "ratio": 200}
"""Caps of the parsing child: a record over 16 MiB, 64 levels of nesting or a 200-fold compressed file is quarantined, not parsed."""

FHIR_TYPES_NAMED = ("bundle", "log")
"""File stems of FHIR exports that are no resource type and hold no name."""


def file_jobs(manifest: Manifest, folder: Path, feed: Feed) -> list[FileJob]:
    """The files of a delivery with their neutral names, formats and entities, workbooks taken apart into their sheets."""
    named = _names(feed)
    jobs: list[FileJob] = []
    for delivered, file in enumerate(manifest.files):
        name = Path(file.path).name
        _, ending, compression = split_name(name)
        entity = _entity_of(name, feed, named)
        wire = _wire_format(ending, entity, feed)
        job = FileJob(
            len(jobs), folder / file.path, neutral_ref(delivered, name, named), file.sha256.lower(), file.bytes, file.records,
            entity, wire, compression, name, None, delivered,
        )  # fmt: skip
        jobs += sheet_jobs(job, feed, lambda sheet: _entity_of(sheet, feed, named)) if wire == "xlsx" else [job]
    return jobs


def _wire_format(ending: str, entity: str | None, feed: Feed) -> str | None:
    wire = feed.kind.formats.get(ending, feed.kind.formats.get("*"))
    return "fixed_width" if wire == "delimited" and feed.layout(entity).positions else wire


def _names(feed: Feed) -> dict[str, None]:
    """What file names may stand for."""
    entities = load_contract(feed.kind.family).entities
    named = {**dict.fromkeys(entities), **dict.fromkeys(feed.kind.other_tables), **dict.fromkeys(feed.files)}
    if feed.kind.family == "fhir":
        named |= dict.fromkeys(FHIR_TYPES_NAMED) | {e.replace("_", ""): None for e in entities}
        named |= dict.fromkeys(t.lower() for t in R4_TYPES)
    return named


def _entity_of(name: str, feed: Feed, named: Iterable[str]) -> str | None:
    """The entity a file name stands for."""
    table = None if name.startswith(".") else table_of(name, named)
    return feed.kind.only_entity or (_entity(table, feed) if table else None)


def _entity(table: str, feed: Feed) -> str | None:
    if feed.kind.named_by_record:
        return None
    stems = {stem.lower(): entity for stem, entity in feed.files.items()}
    return stems.get(table.lower(), "other" if table in feed.kind.other_tables else table)


def build_job(wire: str, files: list[FileJob], feed: Feed, spool: Path) -> dict[str, Any]:
    """The child's job description (see `assets/formats/child.py`)."""
    family = feed.kind.family
    contract, rules = load_contract(family), load_rules(family)
    return {
        "format": wire,
        "files": [_file(file) for file in files],
        "spool": str(spool),
        "entities": {name: _columns(entity, rules[name]) for name, entity in contract.entities.items() if name in rules},
        "options": {
            "encoding": feed.encoding,
            "delimiter": feed.delimiter,
            "quote": feed.quote,
            "time_zone": feed.time_zone,
            "columns": {entity: dict(columns) for entity, columns in feed.columns.items()},
            "null_values": list(feed.null_values),
            "tables_other": sorted(feed.kind.other_tables),
            "assigning_authority": feed.assigning_authority,
            "layouts": {entity: layout.as_options() for entity, layout in feed.tables.items()},
        },
        "limits": LIMITS,
    }


def _file(file: FileJob) -> dict[str, Any]:
    name = file.sheet or file.name or file.path.name
    table = table_of(name, [file.entity]) if file.entity and file.entity != "other" else None
    return {
        "index": file.index, "path": str(file.path), "ref": file.ref, "entity": file.entity, "compression": file.compression,
        "table": (table or split_name(name)[0]) if file.entity else None, "sheet": file.sheet,
    }  # fmt: skip


def _columns(entity: Entity, rules: EntityRules) -> dict[str, Any]:
    columns = []
    for column in entity.columns:
        rule = rules.rules[column.name]
        if rule.verb == "person_of":  # no source column: landing fills it in
            continue
        columns.append(
            {
                "name": column.name,
                "type": column.type,
                "required": column.required,
                "verb": "key" if rule.verb == "record" and "+" in rule.path else rule.verb,
                "scope": rule.scope,
                "path": rule.path,
            }
        )
    return {"columns": columns, "identity": dict(rules.identity)}
