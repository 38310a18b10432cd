"""What the parsing child is told: files, columns and limits, put together from contract, allow-list and site file.

Belongs here: joining the three. Does not belong here: parsing (`assets/formats`), any byte of the delivery.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from assets.contracts.table import Entity, load_contract
from assets.formats.fhir_r4 import R4_TYPES
from assets.formats.job import Limits
from assets.landing.files import FileJob, SetAside
from assets.landing.manifest import Manifest, ManifestFile, neutral_ref, split_name, table_of
from assets.landing.sheets import sheet_jobs
from assets.landing.unpack import Member, archive_kind, is_junk, plain_path, unpack
from assets.privacy.scrub import EntityRules, load_rules
from assets.sites.site import Feed

LIMITS = {"record_bytes": 16 * 2**20, "depth": 64, "file_bytes": 64 * 2**30, "memory_bytes": 8 * 2**30, "ratio": 200}
"""Caps of the parsing child: a record over 16 MiB, 64 levels of nesting or a 200-fold compressed file is quarantined, not parsed."""

FHIR_TYPES_NAMED = ("bundle", "log")
"""File stems of FHIR exports that are no resource type and hold no name."""


def file_jobs(manifest: Manifest, folder: Path, feed: Feed, scratch: Path) -> list[FileJob]:
    """The files of a delivery with their neutral names, formats and entities; archives and workbooks are taken apart.

    Args:
        manifest: What was delivered.
        folder: Where its files are.
        feed: How the site sends it.
        scratch: Folder for what archives hold, thrown away with the delivery's spool.
    """
    maker = _Maker(feed, scratch)
    parts = [part for number, file in enumerate(manifest.files) for part in maker.parts(number, file, folder / file.path)]
    return [replace(part, index=index) for index, part in enumerate(parts)]


class _Maker:
    """Makes file jobs of one delivery."""

    def __init__(self, feed: Feed, scratch: Path) -> None:
        self._feed, self._scratch = feed, scratch
        self._named = _names(feed)

    def parts(self, number: int, file: ManifestFile, path: Path) -> list[FileJob]:
        """One delivered file, taken apart where it holds several."""
        name = path.name
        whole = FileJob(
            0,
            path,
            neutral_ref(number, name, self._named),
            file.sha256.lower(),
            file.bytes,
            file.records,
            None,
            None,
            None,
            name,
            None,
            number,
        )
        kind = archive_kind(name)
        if kind is None or split_name(name)[1] in self._feed.kind.formats:
            aside = SetAside("junk_file", "added by an operating system", records=0) if is_junk(name) else None
            return self._read_by_name(replace(whole, set_aside=aside))
        members = unpack(path, kind, self._scratch / str(number), names=self._feed.archive_names, limits=Limits(**LIMITS))
        if isinstance(members, SetAside):
            return [replace(whole, set_aside=members)]
        return [part for at, member in enumerate(members, 1) for part in self._member(whole, member, at)]

    def _member(self, archive: FileJob, member: Member, number: int) -> list[FileJob]:
        name = plain_path(member.name).name
        known = neutral_ref(number, name, self._named) == name
        job = replace(
            archive, path=member.path or archive.path, ref=f"{archive.ref}#{number}{':' + name if known else ''}", sha256=member.sha256,
            bytes=member.bytes, name=name, set_aside=member.set_aside,
        )  # fmt: skip
        return self._read_by_name(job)

    def _read_by_name(self, job: FileJob) -> list[FileJob]:
        """The file with what its name says of it; the sheets of a workbook."""
        _, ending, compression = split_name(job.name)
        entity = self._entity_of(job.name)
        wire = _wire_format(ending, entity, self._feed)
        job = replace(job, entity=entity, format=wire, compression=compression)
        return sheet_jobs(job, self._feed, self._entity_of) if wire == "xlsx" and job.set_aside is None else [job]

    def _entity_of(self, name: str) -> str | None:
        """The entity a file name stands for."""
        table = None if name.startswith(".") else table_of(name, self._named)
        return self._feed.kind.only_entity or (_entity(table, self._feed) if table else None)


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
        "files": [_file(file, [*_names(feed), *feed.sheets]) for file in files],
        "spool": str(spool),
        "entities": {name: _columns(entity, rules[name]) for name, entity in contract.entities.items() if name in rules},
        "options": {
            "encoding": feed.encoding,
            "encoding_declared": feed.encoding_is_declared,
            "delimiter": feed.delimiter,
            "quote": feed.quote,
            "time_zone": feed.time_zone,
            "columns": {entity: dict(columns) for entity, columns in feed.columns.items()},
            "null_values": list(feed.null_values),
            "tables_other": sorted(feed.kind.other_tables),
            "assigning_authority": feed.assigning_authority,
            "layouts": {entity: layout.as_options() for entity, layout in feed.tables.items()},
            "registry": feed.registry,
            "numbers_of": feed.numbers_of,
        },
        "limits": LIMITS,
    }


def _file(file: FileJob, known: Iterable[str]) -> dict[str, Any]:
    """A file as the child is told it. Its table bears its own name only where the site file or the feed knows that: it may be a person's."""
    name = file.sheet or file.name or file.path.name
    table = table_of(name, [file.entity]) if file.entity and file.entity != "other" else None
    if table is None and file.entity:
        table = split_name(name)[0] if table_of(name, known) is not None else file.entity
    return {
        "index": file.index, "path": str(file.path), "ref": file.ref, "entity": file.entity, "compression": file.compression,
        "table": table, "sheet": file.sheet,
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
    return {"columns": columns, "identity": rules.to_vault}
