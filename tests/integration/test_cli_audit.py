"""The audit of a lake that was built, read and asked: who did what is there, and nothing of it can be taken away unseen."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assets.ledger.audit import os_user
from tests.conftest import Biodam
from tests.integration.conftest import Small

pytestmark = pytest.mark.shares("small lake")


@pytest.fixture
def copy(small: Small, tmp_path: Path) -> Biodam:
    shutil.copytree(small.biodam.lake, tmp_path / "lake")
    return Biodam(tmp_path / "lake", small.biodam.environment)


def test_who_built_opened_the_vault_published_read_and_asked(copy: Biodam) -> None:
    sql = "select count(*) from person where year_of_birth = 1960"
    before = len(json.loads(copy("audit", "list", "--action", "read", "--json", "--limit", "500").stdout))
    copy("sql", sql)
    copy("consent", "show", "--site", "h90", "--number", "p3")
    told = copy("explain", "--site", "h90", "--number", "-", stdin="p3\n").stdout
    assert "Known from: h90." in told
    assert "p3" not in told.split()
    assert re.search(r"^\S+ +person +1 ", told, re.MULTILINE), "the read of table person is not told"
    rows = json.loads(copy("audit", "list", "--json", "--limit", "500").stdout)
    assert {"vault.open", "build.finished", "publish", "read", "consent.show", "explain"} <= {r["action"] for r in rows}
    assert {r["who"] for r in rows} == {os_user()}
    reads = [r for r in rows if r["action"] == "read"]
    assert len(reads) == before + 1
    read = max(reads, key=lambda r: r["id"])["detail"]
    assert (read["tables"], read["rows"]) == (["person"], 1)
    assert "1960" not in json.dumps(rows), "a value of the statement is in the audit"
    assert "audit" not in copy("audit", "list", "--action", "read").stdout


def test_whole_audit_is_verified_with_the_marks_in_dagster_and_a_cut_is_seen(copy: Biodam) -> None:
    said = copy("audit", "verify").stdout
    assert "1 marks from elsewhere: all as recorded" in said
    mark = said.split("newest row: ")[1].split()[0]
    assert copy("audit", "verify", "--mark", mark).returncode == 0
    with sqlite3.connect(copy.lake / "control" / "control.db") as db:
        (last,) = db.execute("select max(id) from audit").fetchone()
        db.execute("delete from audit where id = ?", (last,))
    done = copy("audit", "verify", "--mark", mark, check=False)
    assert done.returncode == 1
    assert f"the end: the table ends at row {last - 1}" in done.stdout
    assert f"row {last}: is not what it was" in done.stdout

    with sqlite3.connect(copy.lake / "control" / "control.db") as db:
        db.execute("delete from audit")
    (copy.lake / "control" / "audit.head").unlink()
    done = copy("audit", "verify", check=False)
    assert "is not what it was when its mark was copied away" in done.stdout, "Dagster's mark was not used"


def test_a_cohort_is_frozen_audited_made_again_and_not_published(copy: Biodam, tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text("select person_id from person where year_of_birth = 1960", encoding="utf-8")
    frozen = json.loads(copy("cohort", "freeze", "sixties", "--sql", str(tmp_path / "query.sql"), "--json").stdout)
    assert (frozen["people"], frozen["issue"], frozen["vocabulary_release"]) == ("7", 1, "Biodam seed")
    assert json.loads(copy("cohort", "rebuild", "sixties", "--json").stdout)["same"] is True
    exported = json.loads(copy("cohort", "export", "sixties", "--project", "p1", "--json").stdout)
    subjects = pq.read_table(exported["file"])["subject_id"].to_pylist()
    ids = {str(person) for (person,) in copy.query("select person_id from person")}
    assert len(subjects) == 7
    assert not ids.intersection(subjects)
    (row,) = json.loads(copy("audit", "list", "--json", "--action", "cohort.export").stdout)
    assert (row["detail"]["project"], row["detail"]["sha256"], row["detail"]["people"]) == ("p1", exported["sha256"], "7")
    (entry,) = [r["detail"] for r in json.loads(copy("audit", "list", "--json", "--action", "cohort.freeze").stdout)]
    assert (entry["cohort"], entry["definition_sha256"]) == ("sixties", frozen["definition_sha256"])
    assert "1960" not in json.dumps(entry), "a value of the definition is in the audit"
    assert "no published table" in copy("cohort", "freeze", "x", "--table", "member", check=False).stderr
