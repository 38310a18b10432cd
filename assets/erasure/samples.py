"""Samples of a person that nobody has confirmed as destroyed: erasing the person would lose the order to destroy them.

Belongs here: counting them in raw tables. Does not belong here: the destruction manifest itself (`gov_specimen_destruction`).
"""

from __future__ import annotations

from collections.abc import Collection

from assets.lake.extensions import open_duckdb
from assets.lake.versions import scan_of
from assets.landing.workspace import Workspace

_KINDS = ("specimen", "aliquot")


def undestroyed(workspace: Workspace, ids: Collection[int]) -> tuple[int, int]:
    """(samples of these people, those without a disposal of all that was left)."""
    versions = workspace.commits.latest_versions()
    total = left = 0
    with open_duckdb() as connection:
        connection.execute("create table subject as select unnest($ids)::bigint as person_id", {"ids": list(ids)})
        for kind in _KINDS:
            if (version := versions.get(f"raw/lims/{kind}")) is None:
                continue
            destroyed = "select null::bigint as sample_id where false"
            if (disposals := versions.get("raw/lims/disposal")) is not None:
                destroyed = (
                    f"select {kind}_id as sample_id from {scan_of(workspace.lake, 'raw/lims/disposal', disposals)}"
                    " where amount is null and not coalesce(is_deleted, false)"
                )
            query = f"""
                select count(*), count(*) filter (where sample_id not in (select sample_id from destroyed where sample_id is not null))
                from (
                    select distinct record_id as sample_id from {scan_of(workspace.lake, f"raw/lims/{kind}", version)} join subject using (person_id)
                )
            """
            found = connection.execute(f"with destroyed as ({destroyed}) {query}").fetchone()
            assert found is not None
            total, left = total + found[0], left + found[1]
    return total, left
