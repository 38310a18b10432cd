"""The audit shows every change made to it: rows altered, removed, swapped, inserted, cut off; also by one who mends the chain."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from assets.ledger import audit as module
from assets.ledger.audit import Audit, Entry, Mark, os_user, parse_mark

ROWS = 40


def _audit(folder: Path) -> Audit:
    return Audit(folder / "control.db", folder / "audit.head")


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    audit = _audit(tmp_path)
    for n in range(ROWS):
        audit.append("read" if n % 3 else "consent.show", who="kim" if n % 2 else "lee", rows=n, tables=["person"])
    return tmp_path


def test_untouched_audit_holds(filled: Path) -> None:
    assert _audit(filled).verify() == (ROWS, [])
    newest = _audit(filled).newest(2)
    assert [(e.id, e.who, e.action, json.loads(e.detail)) for e in newest] == [
        (40, "kim", "consent.show", {"rows": 39, "tables": ["person"]}),
        (39, "lee", "read", {"rows": 38, "tables": ["person"]}),
    ]
    assert {e.action for e in _audit(filled).newest(100, action="consent")} == {"consent.show"}


def test_lake_without_audit_has_nothing_to_verify(tmp_path: Path) -> None:
    assert _audit(tmp_path).verify() == (0, [])
    assert _audit(tmp_path).newest(5) == []
    assert list(tmp_path.iterdir()) == []


def test_who_is_the_user_of_the_operating_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.setenv(name, "somebody_else")
    _audit(tmp_path).append("read")
    assert _audit(tmp_path).newest(1)[0].who == os_user() != "somebody_else"


def _rehash(db: sqlite3.Connection, start: int) -> None:
    """Mend the chain from a row on, as one would who knows how it is made; and close gaps."""
    rows = [Entry(*r) for r in db.execute("select id, at, who, action, detail, previous_hash, hash from audit order by id")]
    db.execute("delete from audit")
    previous = ""
    for number, row in enumerate(rows, 1):
        new = Entry(number, row.at, row.who, row.action, row.detail, previous, "")
        digest = new.chained() if number >= start else row.hash
        db.execute("insert into audit values (?, ?, ?, ?, ?, ?, ?)", (number, row.at, row.who, row.action, row.detail, previous, digest))
        previous = digest


def _edit(db: sqlite3.Connection, dice: random.Random) -> None:
    column = dice.choice(["at", "who", "action", "detail", "previous_hash", "hash", "id"])
    row = dice.randint(1, ROWS)
    value = ROWS + dice.randint(1, 9) if column == "id" else dice.choice(["x", "", "2020-01-01", b"kim", '{"rows": 0}'])
    db.execute(f"update audit set {column} = ? where id = ?", (value, row))


def _delete(db: sqlite3.Connection, dice: random.Random) -> None:
    first = dice.randint(1, ROWS)
    db.execute("delete from audit where id between ? and ?", (first, first + dice.randint(0, 3)))


def _swap(db: sqlite3.Connection, dice: random.Random) -> None:
    a, b = dice.sample(range(1, ROWS + 1), 2)
    if dice.random() < 0.5:
        for old, new in ((a, -1), (b, a), (-1, b)):
            db.execute("update audit set id = ? where id = ?", (new, old))
        return
    columns = "at, who, action, detail, hash"
    rows = {n: db.execute(f"select {columns} from audit where id = ?", (n,)).fetchone() for n in (a, b)}
    for n, other in ((a, b), (b, a)):
        db.execute("update audit set at = ?, who = ?, action = ?, detail = ?, hash = ? where id = ?", (*rows[other], n))


def _insert(db: sqlite3.Connection, dice: random.Random) -> None:
    after = dice.randint(0, ROWS)
    for number in range(ROWS, after, -1):
        db.execute("update audit set id = ? where id = ?", (number + 1, number))
    row = db.execute("select hash from audit where id = ?", (after,)).fetchone()
    new = Entry(after + 1, "2026-01-01", "eve", "read", "{}", row[0] if row else "", "")
    db.execute("insert into audit values (?, ?, ?, ?, ?, ?, ?)", (*list(new.__dict__.values())[:-1], new.chained()))


def _cut(db: sqlite3.Connection, dice: random.Random) -> None:
    db.execute("delete from audit where id > ?", (dice.randint(0, ROWS - 1),))


def _reverse(db: sqlite3.Connection, dice: random.Random) -> None:
    first = dice.randint(1, ROWS - 2)
    last = dice.randint(first + 1, ROWS)
    db.execute("update audit set id = -id where id between ? and ?", (first, last))
    db.execute("update audit set id = ? + id where id < 0", (first + last,))


def test_a_thousand_random_changes_are_all_seen(filled: Path) -> None:
    """Of those who mend the chain, every other writes the head anew as well: then the mark that was copied away shows it. What
    nobody can see is a row added behind the newest mark by one who writes the head as well."""
    copied, head = _audit(filled).head(), (filled / "audit.head").read_bytes()
    dice = random.Random(20260101)
    clean = sqlite3.connect(filled / "control.db").execute("select * from audit order by id").fetchall()
    changes = [_edit, _delete, _swap, _insert, _cut, _reverse]
    missed, done = [], 0
    while done < 1000:
        change, mends = changes[done % 6], dice.random() < 0.5
        forges = mends and dice.random() < 0.5
        db = sqlite3.connect(filled / "control.db")
        db.execute("pragma synchronous=off")
        db.execute("delete from audit")
        db.executemany("insert into audit values (?, ?, ?, ?, ?, ?, ?)", clean)
        change(db, dice)
        if mends:
            _rehash(db, dice.randint(1, ROWS))
        now = db.execute("select * from audit order by id").fetchall()
        db.commit()
        db.close()
        if now == clean:
            continue  # the dice put back what was there: nothing was changed
        done += 1
        forges = forges and now[:ROWS] != clean
        if forges:
            module._write_head(filled / "audit.head", Mark(*now[-1][::6]) if now else Mark(0, ""), None)
        if not _audit(filled).verify([copied] if forges else [])[1]:
            missed.append((change.__name__, mends, forges))
        (filled / "audit.head").write_bytes(head)
    assert missed == []


def test_a_database_file_that_was_cut_never_verifies(filled: Path) -> None:
    whole = (filled / "control.db").read_bytes()
    dice = random.Random(5)
    for size in [0, 1, 100, len(whole) - 1, *(dice.randrange(len(whole)) for _ in range(60))]:
        (filled / "control.db").write_bytes(whole[:size])
        try:
            assert _audit(filled).verify()[1], size
        except sqlite3.DatabaseError:
            continue  # no database any more: the command says so and fails
    (filled / "control.db").write_bytes(whole)
    assert _audit(filled).verify() == (ROWS, [])


def test_history_written_anew_with_its_head_is_seen_by_a_mark_copied_away(filled: Path) -> None:
    copied = _audit(filled).head()
    shutil.rmtree(filled / "other", ignore_errors=True)
    other = _audit(filled / "other")
    for n in range(ROWS + 5):
        other.append("read", who="kim", rows=n)
    assert other.verify() == (ROWS + 5, [])
    assert other.verify([copied])[1] == [f"row {ROWS}: is not what it was when its mark was copied away"]
    assert _audit(filled).verify([copied, parse_mark(str(copied))])[1] == []


def test_work_goes_on_after_a_cut_and_the_cut_stays_to_be_seen(filled: Path) -> None:
    with sqlite3.connect(filled / "control.db") as db:
        db.execute("delete from audit where id > 30")
    for _ in range(3):
        _audit(filled).append("read", who="kim")
    count, wrong = _audit(filled).verify()
    assert count == 34
    assert len(wrong) == 1
    assert wrong[0].startswith("row 31: says that the table was changed before")


@pytest.mark.parametrize("damage", ["gone", "empty", "other"])
def test_head_that_was_removed_or_damaged_is_seen(filled: Path, damage: str) -> None:
    head = filled / "audit.head"
    if damage == "gone":
        head.unlink()
    else:
        head.write_text("" if damage == "empty" else '{"head": {"id": 1, "hash": "x"}, "coming": null}')
    assert "does not say so" in _audit(filled).verify()[1][0]
    _audit(filled).append("read")
    assert "says that the table was changed" in _audit(filled).verify()[1][0]


def _killed_append(folder: Path, step: int, rows: int) -> int:
    """Append in a process that dies at a step: before the head, before or after the commit, before the head again."""
    child = os.fork()
    if child == 0:
        steps = iter(range(1, 9))
        write, commit = module._write_head, module._Connection.commit

        def die() -> None:
            if next(steps) == step:
                os._exit(9)

        def dying_write(path: Path, head: Mark, coming: Mark | None) -> None:
            die()
            write(path, head, coming)

        def dying_commit(connection: module._Connection) -> None:
            die()
            commit(connection)
            die()

        module._write_head = dying_write
        module._Connection.commit = dying_commit  # type: ignore[assignment,method-assign]
        _audit(folder).append_all("read", [{"number": n} for n in range(rows)], who="killed")
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_append_may_be_killed_at_any_step_and_nothing_looks_changed(filled: Path, step: int, rows: int) -> None:
    assert _killed_append(filled, step, rows) == 9
    assert _audit(filled).verify() == (ROWS + (rows if step > 2 else 0), [])
    _audit(filled).append("read", who="next")
    assert _audit(filled).verify()[1] == []


def test_two_writers_make_one_chain(tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda: [_audit(tmp_path).append("read") for _ in range(10)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _audit(tmp_path).verify() == (30, [])


def test_database_named_by_a_url_is_the_same_chain(filled: Path) -> None:
    by_url = Audit(f"sqlite:///{filled / 'control.db'}", filled / "audit.head")
    by_url.append("read")
    assert by_url.verify() == _audit(filled).verify() == (ROWS + 1, [])
    assert by_url.head().id == ROWS + 1


def test_audit_that_cannot_be_written_says_so_and_records_nothing(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_write_head", lambda *_: (_ for _ in ()).throw(PermissionError()))
    with pytest.raises(PermissionError):
        _audit(filled).append("read")
    assert _audit(filled).verify() == (ROWS, [])


@pytest.mark.parametrize("text", ["", "12", "x:y", "12:abc"])
def test_mark_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a mark is"):
        parse_mark(text)
    assert parse_mark("3:" + "a" * 64) == Mark(3, "a" * 64)
