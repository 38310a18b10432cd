"""What a steward decides reaches the lake once: rows of `raw/people/link`, and buckets to rebuild."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assets.lake.commits import read_snapshot
from assets.landing.links import publish_links
from assets.landing.workspace import Workspace
from assets.privacy.buckets import BucketSizes
from assets.privacy.review import merge_by_steward, split_by_steward
from assets.privacy.vault import open_vault


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    open_vault(tmp_path / "vault" / "vault.db", tmp_path / "vault" / "key", sizes=BucketSizes((), 1))
    return Workspace(tmp_path)


def _links(workspace: Workspace) -> list[tuple[int, int, int]]:
    files = read_snapshot(workspace.lake, "raw/people/link").files
    rows = [row for path in files for row in pq.read_table(path, partitioning=None).to_pylist()]
    return sorted((row["_sequence"], row["alias_person_id"], row["person_id"]) for row in rows)


def test_each_event_is_published_once_and_both_buckets_are_rebuilt(workspace: Workspace) -> None:
    assert publish_links(workspace) == 0
    found = workspace.vault.resolve(site="h1", delivery="d1", groups=(), locals_=("1", "2"))
    one, two = found.people["1"], found.people["2"]
    with workspace.vault.transaction() as (connection, _):
        alias, person = merge_by_steward(connection, one.person_id, two.person_id)
    assert (publish_links(workspace), publish_links(workspace)) == (1, 0)
    assert workspace.commits.pending().buckets == {0, 1}
    with workspace.vault.transaction() as (connection, _):
        split_by_steward(connection, alias)
    assert publish_links(workspace) == 1
    assert [(a, p) for _, a, p in _links(workspace)] == [(alias, person), (alias, alias)]


def test_kill_between_note_and_append_loses_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    found = workspace.vault.resolve(site="h1", delivery="d1", groups=(), locals_=("1", "2"))
    with workspace.vault.transaction() as (connection, _):
        merge_by_steward(connection, *(p.person_id for p in found.people.values()))
    with monkeypatch.context() as patch:
        patch.setattr("assets.landing.links.tables.append", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish_links(workspace)
    assert workspace.commits.pending().buckets == {0, 1}
    assert publish_links(workspace) == 1
    assert len(_links(workspace)) == 1
