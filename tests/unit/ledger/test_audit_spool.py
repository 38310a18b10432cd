"""Reads of people who may not write to the lake's books are left in a folder and taken into the audit later."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from assets.ledger.audit import Audit, os_user
from assets.ledger.audit_spool import leave, take_in
from assets.serving.query import Reading
from orchestration.commands.audit import reads_of
from orchestration.settings import read_settings

READ = {"tables": ["person"], "statement_sha256": "a" * 64, "rows": 3}


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path / "control.db", tmp_path / "audit.head")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "reads"
    folder.mkdir(mode=0o1733)
    return folder


def test_what_was_left_is_taken_in_once_under_the_owner_of_the_file(audit: Audit, spool: Path) -> None:
    leave(spool, {**READ, "who": "somebody_else"})
    os.utime(next(spool.iterdir()), (1_767_225_600, 1_767_225_600))
    assert (take_in(spool, audit), take_in(spool, audit)) == (1, 0)
    (row,) = audit.newest(9)
    assert (row.action, row.who, row.at) == ("read", os_user(), "2026-01-01T00:00:00.000+00:00")
    assert {k: v for k, v in json.loads(row.detail).items() if k != "left_as"} == READ


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tables": 1, "statement_sha256": "x", "rows": 1}', '{"rows": "many"}', "x" * 200_000])
def test_what_is_no_record_of_a_read_is_said_to_be_none(audit: Audit, spool: Path, text: str) -> None:
    (spool / "a.json").write_text(text)
    assert take_in(spool, audit) == 1
    assert audit.newest(9)[0].action == "read.unreadable"
    assert not list(spool.iterdir())


def test_link_to_another_file_is_not_followed(audit: Audit, spool: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(json.dumps(READ))
    (spool / "a.json").symlink_to(tmp_path / "secret")
    take_in(spool, audit)
    assert audit.newest(9)[0].action == "read.unreadable"
    assert (tmp_path / "secret").exists()


def test_read_goes_to_the_audit_else_to_the_folder_else_the_reader_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = read_settings({"LAKE_ROOT": str(tmp_path / "lake")})
    reading = Reading(("person",), "a" * 64, 3)
    book = settings.workspace().audit
    reads_of(settings)(reading)
    assert [e.action for e in book.newest(9)] == ["read"]

    (tmp_path / "lake" / "control").rename(tmp_path / "kept")
    (tmp_path / "lake" / "control").write_text("where nobody may write")
    reads_of(settings)(reading)
    assert "this read is not recorded" in capsys.readouterr().err

    spool = settings.workspace().lake.read_spool
    spool.mkdir(parents=True)
    reads_of(settings)(reading)
    assert capsys.readouterr().err == ""
    (tmp_path / "lake" / "control").unlink()
    (tmp_path / "kept").rename(tmp_path / "lake" / "control")
    assert take_in(spool, book) == 1
    assert [e.action for e in book.newest(9)] == ["read", "read"]
    assert book.verify() == (2, [])
