"""A frozen cohort handed to one project: its members under pseudonyms that only this project has.

Belongs here: who may still be handed over, the file. Does not belong here: pseudonyms (`assets/privacy/pseudonyms`), freezing and reissuing, the command line.

A file holds no `person_id`: whoever has the files of two projects cannot join them, and nobody but the vault can go back. Rows are in the order of
their pseudonyms, so that their places say nothing either. Dates are those of the cohort; who was in hospital on which days may still be rare.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assets.cohorts.freeze import CohortError, stored
from assets.cohorts.reissue import next_issue
from assets.lake.durable import replace_file
from assets.landing.workspace import Workspace
from assets.ledger.stamps import Stamp
from assets.privacy.pseudonyms import ProjectPseudonyms

_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
SCHEMA = pa.schema([
    pa.field("subject_id", pa.string(), nullable=False), ("cohort_start_date", pa.date32()), ("cohort_end_date", pa.date32()),
])  # fmt: skip
"""Columns of an exported cohort. Grain: one member and dates. `subject_id`: pseudonym in this project, 32 hexadecimal digits (OHDSI cohort table)."""


@dataclass(frozen=True)
class Export:
    """What is written.

    Attributes:
        path: Where.
        content: Parquet.
        people: Members.
    """

    path: Path
    content: bytes
    people: int


def make_export(workspace: Workspace, stamp: Stamp, project: str, *, day: str) -> Export:
    """Members of an issue as one project may have them. Nothing is written.

    Args:
        workspace: The lake.
        stamp: The issue.
        project: Name of the project.
        day: Day of the last build, on which consent was judged.

    Raises:
        CohortError: No name of a project, another project's cohort, or somebody has left since the cohort was frozen.
    """
    if not _PROJECT.fullmatch(project):
        raise CohortError("a project is named by 1 to 60 letters, digits, '_', '.' or '-', beginning with a letter or digit")
    asked = (stamp.request or {}).get("project")
    if asked is not None and asked != project:
        raise CohortError(
            f"{stamp.name} was frozen for the request of project {asked}: consent was judged for that one. Remedy: freeze it for {project}"
        )
    members = stored(workspace, stamp)
    _, rest, _ = next_issue(workspace, stamp, day=day)
    if rest.sha256 != members.sha256 or members.people != stamp.people:
        raise CohortError(
            f"people have left {stamp.name} since it was frozen. Remedy: biodam cohort reissue {stamp.cohort}, then export that issue"
        )
    ids = ProjectPseudonyms(workspace.vault.key, project).column(pa.array([row[0] for row in members.rows], pa.int64()))
    table = pa.table([ids, *(pa.array([row[at] for row in members.rows], pa.date32()) for at in (2, 3))], schema=SCHEMA)
    told = {"cohort": stamp.cohort, "issue": str(stamp.issue), "definition_sha256": stamp.definition_sha256, "project": project}
    out = io.BytesIO()
    pq.write_table(table.sort_by([(name, "ascending") for name in SCHEMA.names]).replace_schema_metadata(told), out, compression="zstd")
    return Export(workspace.lake.exports / project / f"{stamp.cohort}-{stamp.issue}.parquet", out.getvalue(), members.people)


def write_export(export: Export) -> None:
    """Write the file, whole or not at all; the same export again leaves the same bytes."""
    export.path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(export.path, export.content)
