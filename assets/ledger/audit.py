"""The audit: who did what to the lake and who read it, as a chain that shows what was changed in it.

Belongs here: table `audit` of the control database, appending, verifying. Does not belong here: deciding what is recorded (those who do it),
printing. A row holds no identifier and no value of a record: people by `person_id`, statements by their hash.

Each row holds the hash of the row before it. The hash of the newest is also in `control/audit.head`, synced, and in Dagster with every
materialisation of `govern/deliveries`, so a cut end shows too. The head is written twice: before the row is committed it says which row is
coming, afterwards that it came; a kill in between leaves a head that fits either way. A head that does not fit the table is itself recorded
in the chain, and stays there.

Who can write to all of these places can write another history; `verify` then needs a head that was copied away (docs/OPERATIONS.md).
The standard library only, unless the control database is on a server: `biodam sql` pays for this import.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

BROKEN = "audit.broken"
"""Action of the row that says: the head did not fit the table when the next row was to be appended."""

_COLUMNS = ("id", "at", "who", "action", "detail", "previous_hash", "hash")
_TABLE = """
    create table if not exists audit (
        id bigint not null primary key, at varchar not null, who varchar not null, action varchar not null, detail varchar not null,
        previous_hash varchar not null, hash varchar not null
    )
"""
_INSERT = f"insert into audit ({', '.join(_COLUMNS)}) values ({', '.join(':' + c for c in _COLUMNS)})"
_SELECT = f"select {', '.join(_COLUMNS)} from audit"
_WAIT_S = 30


@dataclass(frozen=True)
class Mark:
    """A place in the chain: number and hash of a row. (0, "") is the place before the first."""

    id: int
    hash: str

    def __str__(self) -> str:
        return f"{self.id}:{self.hash}"


START = Mark(0, "")


@dataclass(frozen=True)
class Entry:
    """One row. `detail` is JSON text, as stored."""

    id: int
    at: str
    who: str
    action: str
    detail: str
    previous_hash: str
    hash: str

    @property
    def mark(self) -> Mark:
        """Its place in the chain."""
        return Mark(self.id, self.hash)

    def chained(self) -> str:
        """SHA-256 over all other columns as they are stored."""
        facts = [self.id, self.at, self.who, self.action, self.detail, self.previous_hash]
        return hashlib.sha256(json.dumps(facts, default=repr).encode()).hexdigest()


class Audit:
    """The audit of one lake. Cheap to make; every call opens the database and closes it."""

    def __init__(self, database: str | Path, head: Path) -> None:
        self._database = database
        self._head = head

    def append(self, action: str, *, who: str | None = None, at: str | None = None, **detail: Any) -> Mark:
        """Append a row.

        Args:
            action: What was done, for example `read` or `vault.open`.
            who: Default: the user of the operating system that runs this process.
            at: Default: now, UTC, ISO 8601.
            detail: What else there is to say; numbers and short words, no value of a record.

        Raises:
            OSError, sqlite3.Error: The control database or the head cannot be written; nothing was recorded.
        """
        return self.append_all(action, [detail], who=who, at=at)

    def append_all(self, action: str, details: Sequence[Mapping[str, Any]], *, who: str | None = None, at: str | None = None) -> Mark:
        """Append a row of each detail, all or none, for the price of one.

        Args:
            action: What was done.
            details: One or more.
            who: Default: the user.
            at: Default: now.

        Raises:
            OSError, sqlite3.Error: As for `append`.
        """
        told = (action, who or os_user(), at or datetime.now(UTC).isoformat(timespec="milliseconds"))
        self._head.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(self._head.with_suffix(".lock")), timeout=_WAIT_S, mode=0o664), _open(self._database) as connection:
            connection.execute(_TABLE, {})
            last, heads = _last(connection), _read_head(self._head)
            rows = []
            if not _fits(last, heads):
                gone = {"head": str(heads[0]) if heads else None, "table": str(last)}
                rows.append(_next(last, BROKEN, told[1], told[2], gone))
            for detail in details:
                rows.append(_next(rows[-1].mark if rows else last, *told, detail))
            new = rows[-1].mark
            _write_head(self._head, heads[0] if heads else (START if last == START else Mark(-1, "")), new)
            for row in rows:
                connection.execute(_INSERT, row.__dict__)
            connection.commit()
            _write_head(self._head, new, None)
        return new

    def newest(self, limit: int, *, action: str | None = None) -> list[Entry]:
        """The newest rows, newest first."""
        with self._reading() as connection:
            where = "where action = :action or action like :below" if action else ""
            query = f"{_SELECT} {where} order by id desc limit :limit"
            rows = connection.execute(query, {"limit": limit, "action": action, "below": f"{action}.%"}) if connection else []
            return [Entry(*row) for row in rows]

    def head(self) -> Mark:
        """Place of the newest row."""
        with self._reading() as connection:
            return _last(connection) if connection else START

    def verify(self, anchors: Sequence[Mark] = ()) -> tuple[int, list[str]]:
        """Recompute the chain and compare its end with the head and with marks that were copied away.

        Returns:
            Rows read, and what does not hold, one line each; empty where all holds.
        """
        wanted = {anchor.id: anchor for anchor in anchors}
        found: dict[int, str] = {}
        with self._reading() as connection:
            rows = (Entry(*row) for row in connection.execute(f"{_SELECT} order by id", {})) if connection else iter(())
            last, count, wrong = _walk(rows, wanted, found)
        if not _fits(last, _read_head(self._head)):
            wrong.append(
                f"the end: the table ends at row {last.id}, {self._head.name} does not say so: rows were removed, added or replaced"
            )
        wrong += [
            f"row {a.id}: is not what it was when its mark was copied away" for a in anchors if a != START and found.get(a.id) != a.hash
        ]
        return count, wrong

    @contextmanager
    def _reading(self) -> Iterator[_Connection | None]:
        if "://" not in str(self._database) and not Path(self._database).exists():
            yield None
            return
        with _open(self._database) as connection:
            yield connection if connection.has_table() else None


def parse_mark(text: str) -> Mark:
    """Read `id:hash`.

    Raises:
        ValueError: It is no mark.
    """
    number, _, digest = text.partition(":")
    if not number.isdigit() or len(digest) != 64:
        raise ValueError("a mark is <row>:<64 hexadecimal digits>, as `biodam audit verify` prints it")
    return Mark(int(number), digest)


def os_user() -> str:
    """Who runs this process, by the operating system; the environment may say what it likes."""
    return user_name(os.getuid())


def user_name(uid: int) -> str:
    """Name of a user number; `uid 1234` where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _next(last: Mark, action: str, who: str, at: str, detail: Mapping[str, Any]) -> Entry:
    row = Entry(last.id + 1, at, who, action, json.dumps(detail, sort_keys=True, ensure_ascii=False), last.hash, "")
    return Entry(**{**row.__dict__, "hash": row.chained()})


def _last(connection: _Connection) -> Mark:
    row = next(iter(connection.execute("select id, hash from audit order by id desc limit 1", {})), None)
    return START if row is None else Mark(*row)


def _fits(last: Mark, heads: Sequence[Mark]) -> bool:
    return last in heads if heads else last == START


def _walk(rows: Iterator[Entry], wanted: Mapping[int, Mark], found: dict[int, str]) -> tuple[Mark, int, list[str]]:
    last, count, wrong = START, 0, []
    for row in rows:
        count += 1
        if row.id != last.id + 1:
            wrong.append(f"row {row.id}: follows row {last.id}: rows in between are missing")
        elif row.previous_hash != last.hash:
            wrong.append(f"row {row.id}: does not follow from the row before it")
        if row.hash != row.chained():
            wrong.append(f"row {row.id}: was altered")
        if row.action == BROKEN:
            wrong.append(f"row {row.id}: says that the table was changed before {row.at}")
        if row.id in wanted:
            found[row.id] = row.hash
        last = row.mark
    return last, count, wrong


def _read_head(path: Path) -> tuple[Mark, ...]:
    """The marks that the end of the table may have: where it was, and where a row was on its way. Empty: there is no head."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return ()
    try:
        said = json.loads(text)
        return tuple(Mark(int(m["id"]), str(m["hash"])) for m in (said["head"], said["coming"]) if m is not None)
    except (ValueError, TypeError, KeyError):
        return (Mark(-1, ""),)  # damaged: fits nothing


def _write_head(path: Path, head: Mark, coming: Mark | None) -> None:
    """Write the head so that a reader, also after a power cut, finds the old one or this one."""
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"head": head.__dict__, "coming": coming.__dict__ if coming else None}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _Connection:
    """A connection to SQLite, or through SQLAlchemy to a server: the same statements, with named parameters."""

    def __init__(self, raw: Any, text: Any = None) -> None:
        self._raw = raw
        self._text = text

    def execute(self, statement: str, values: Mapping[str, Any]) -> Any:
        """Run one statement."""
        return self._raw.execute(self._text(statement) if self._text else statement, values)

    def commit(self) -> None:
        """End the transaction well."""
        self._raw.commit()

    def has_table(self) -> bool:
        """Whether anything was ever recorded."""
        if self._text is None:
            return self._raw.execute("select 1 from sqlite_master where type = 'table' and name = 'audit'").fetchone() is not None
        import sqlalchemy as sa

        return bool(sa.inspect(self._raw).has_table("audit"))


@contextmanager
def _open(database: str | Path) -> Iterator[_Connection]:
    if "://" in str(database):
        import sqlalchemy as sa

        with sa.create_engine(str(database), hide_parameters=True).connect() as server:
            yield _Connection(server, sa.text)
        return
    connection = sqlite3.connect(database, timeout=_WAIT_S)
    try:
        connection.execute("pragma synchronous=full")
        yield _Connection(connection)
    finally:
        connection.close()
