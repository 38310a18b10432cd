"""Runs the parsers on small files written in a test and gives their output as plain Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.contracts.table import load_contract
from assets.formats.child import run_job
from assets.formats.job import load_job
from assets.privacy.scrub import load_rules

Content = bytes | str


@dataclass
class Spooled:
    """What a job left: rows by table, rejected records, and the summary."""

    tables: dict[str, list[dict[str, Any]]]
    rejected: list[dict[str, Any]]
    files: list[dict[str, Any]]
    refused: dict[str, Any] | None
    folder: Path

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """(record number, reason) of all rejected records."""
        return sorted((r["row_number"], r["reason"]) for r in self.rejected)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows of all tables."""
        return [row for rows in self.tables.values() for row in rows]


@dataclass
class Jobs:
    """Makes job descriptions in a folder of their own."""

    folder: Path
    made: int = field(default=0)

    def make(
        self,
        wire: str,
        family: str,
        files: Mapping[str, Content | Path],
        *,
        options: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        entity: str | None = None,
        sheet: str | None = None,
    ) -> dict[str, Any]:
        """A job over files given by name and content; a table's file is named as the table."""
        self.made += 1
        base = self.folder / f"job{self.made}"
        spool = base / "spool"
        spool.mkdir(parents=True)
        entities = plans(family)
        listed = []
        for index, (name, content) in enumerate(files.items()):
            path = content if isinstance(content, Path) else base / name
            if not isinstance(content, Path):
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            stem = name.split(".")[0]
            table = None if wire == "fhir" else entity or (stem if stem in entities else "other" if "other" in entities else None)
            listed.append(
                {
                    "index": index,
                    "path": str(path),
                    "ref": name,
                    "entity": table,
                    "compression": "gzip" if name.endswith(".gz") else None,
                    "table": stem,
                    "sheet": sheet,
                }
            )
        return {
            "format": wire,
            "files": listed,
            "spool": str(spool),
            "entities": entities,
            "options": dict(options or {}),
            "limits": dict(limits or {}),
        }


def plans(family: str) -> dict[str, Any]:
    """Contract joined with allow-list, as landing does it."""
    contract, rules = load_contract(family), load_rules(family)
    found: dict[str, Any] = {}
    for name, entity in contract.entities.items():
        if name in rules:
            columns = []
            for column in entity.columns:
                rule = rules[name].rules[column.name]
                columns.append(
                    {
                        "name": column.name,
                        "type": column.type,
                        "required": column.required,
                        "verb": rule.verb,
                        "scope": rule.scope,
                        "path": rule.path,
                    }
                )
            found[name] = {"columns": columns, "identity": dict(rules[name].identity)}
    return found


def load_spool(spool: Path) -> Spooled:
    """Read a spool back."""
    tables = {}
    for path in sorted(spool.glob("*.arrow")):
        with pa.OSFile(str(path)) as source:
            tables[path.stem] = pa.ipc.open_stream(source).read_all().to_pylist()
    rejected = tables.pop("_rejected", [])
    summary = json.loads((spool / "_summary.json").read_text(encoding="utf-8"))
    return Spooled(tables, rejected, summary["files"], summary["refused"], spool)


Read = Callable[..., Spooled]


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """Makes job descriptions."""
    return Jobs(tmp_path)


@pytest.fixture
def read(jobs: Jobs) -> Read:
    """Runs a job in this process: fast, and a failing line shows in the trace."""

    def run(wire: str, family: str, files: Mapping[str, Content | Path], **more: Any) -> Spooled:
        job = jobs.make(wire, family, files, **more)
        run_job(load_job(job))
        return load_spool(Path(job["spool"]))

    return run


@pytest.fixture
def read_fhir(read: Read) -> Read:
    """Runs the FHIR reader over lines (dictionaries or text) of one NDJSON file."""

    def run(*lines: Mapping[str, Any] | str, **more: Any) -> Spooled:
        text = "\n".join(line if isinstance(line, str) else json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in lines)
        return read("fhir", "fhir", {"file.ndjson": text + "\n"}, **more)

    return run


@pytest.fixture
def read_csv(read: Read) -> Read:
    """Runs the delimited reader over one table of Synthea, unless a family is named."""

    def run(table: str, text: Content, *, family: str = "synthea_csv", **more: Any) -> Spooled:
        return read("delimited", family, {f"{table}.csv": text}, **more)

    return run
