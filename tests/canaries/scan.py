"""Searches all that a lake keeps for byte strings, however they are written. Shares nothing with the product's own scan.

Belongs here: encodings, containers (Parquet, SQLite, DuckDB, compressed blobs), the search. Does not belong here: what is searched for (`needles`).
"""

from __future__ import annotations

import base64
import gzip
import sqlite3
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_PREFIX = 6


@dataclass(frozen=True, order=True)
class Hit:
    """A needle where none may be."""

    needle: str
    written: str
    where: str


class Scanner:
    """Searches for strings in every way they may be written: one pass over the bytes, whatever their number."""

    def __init__(self, needles: Iterable[str]) -> None:
        self._numbers: dict[int, str] = {}
        self._by_start: dict[bytes, dict[bytes, tuple[str, str]]] = {}
        self._tables = (np.zeros(2**24, bool), np.zeros(2**24, bool))
        for needle in needles:
            if needle.isascii() and needle.isdigit():
                self._numbers[int(needle)] = needle
            for written, pattern in ways_to_write(needle):
                assert len(pattern) >= _PREFIX, f"{needle!r} is too short to be told from chance"
                self._by_start.setdefault(pattern[:_PREFIX], {}).setdefault(pattern, (needle, written))
        for start in self._by_start:
            for table, part in zip(self._tables, (start[:3], start[3:6]), strict=True):
                table[int.from_bytes(part, "little")] = True

    def find(self, data: bytes, where: str) -> Iterator[Hit]:
        """All needles in some bytes."""
        if len(data) < _PREFIX:
            return
        raw = np.frombuffer(data, np.uint8).astype(np.uint32)
        threes = raw[:-2] | raw[1:-1] << 8 | raw[2:] << 16
        first = self._tables[0][threes]
        for at in np.flatnonzero(first[:-3] & self._tables[1][threes[3:]]).tolist():
            for pattern, (needle, written) in self._by_start.get(data[at : at + _PREFIX], {}).items():
                if data.startswith(pattern, at):
                    yield Hit(needle, written, where)

    def find_in_column(self, column: pa.Array, where: str) -> Iterator[Hit]:
        """All needles in the decoded values of a column, numbers and nested types too."""
        for values in _leaves(column):
            if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
                wanted = pa.array(list(self._numbers), pa.int64())
                whole = values if pa.types.is_int64(values.type) else pc.cast(values, pa.float64())
                for found in pc.filter(whole, pc.is_in(whole, value_set=wanted.cast(whole.type))).unique().to_pylist():
                    yield Hit(self._numbers[int(found)], "as a number", where)
            elif not pa.types.is_null(values.type) and not pa.types.is_boolean(values.type):
                texts = values if pa.types.is_binary(values.type) else pc.cast(values, pa.string()).cast(pa.binary())
                yield from self.find(b"\0".join(v for v in texts.unique().to_pylist() if v is not None), where)


def ways_to_write(needle: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of a string in every encoding that a file, a log or a database may hold it in."""
    utf8, cp949 = needle.encode(), needle.encode("cp949")
    yield from (("UTF-8", utf8), ("CP949", cp949), ("UTF-16", needle.encode("utf-16-le")), ("UTF-16 BE", needle.encode("utf-16-be")))
    yield "UTF-8, letters apart", unicodedata.normalize("NFD", needle).encode()
    for name, raw in (("UTF-8", utf8), ("CP949", cp949)):
        yield f"hex of {name}", raw.hex().encode()
        yield f"HEX of {name}", raw.hex().upper().encode()
        for shift in range(3):  # base64 of a text that has this one in its middle: what hangs on its neighbours is cut off
            coded = base64.b64encode(bytes(shift) + raw)
            end = len(coded) - (4 if (shift + len(raw)) % 3 else 0)
            if len(inner := coded[(0, 2, 3)[shift] : end]) >= _PREFIX:
                yield f"base64 of {name}", inner
                yield f"base64url of {name}", inner.translate(bytes.maketrans(b"+/", b"-_"))
    if not needle.isascii():
        units = [f"{ord(c):04x}" for c in needle]
        yield from (("JSON", "".join(f"\\u{u}" for u in units).encode()), ("JSON", "".join(f"\\u{u.upper()}" for u in units).encode()))
        yield from (("XML", "".join(f"&#x{u};" for u in units).encode()), ("XML", "".join(f"&#{ord(c)};" for c in needle).encode()))
        yield from ((f"repr of {n}", "".join(f"\\x{b:02x}" for b in raw).encode()) for n, raw in (("UTF-8", utf8), ("CP949", cp949)))
        yield from (("URL", quote(needle).encode()), ("URL", quote(needle).lower().encode()))


def scan_folder(scanner: Scanner, root: Path, *, without: Iterable[str] = ()) -> Iterator[Hit]:
    """All needles in names and contents of the files below a folder.

    Args:
        scanner: What to search for.
        root: Folder.
        without: Names of folders directly below `root` that are passed over.
    """
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if name.parts[0] in without:
            continue
        yield from scanner.find(str(name).encode(errors="surrogateescape"), f"name of {name}")
        if path.is_file() and not path.is_symlink():
            yield from scan_file(scanner, path, str(name))


def scan_file(scanner: Scanner, path: Path, where: str) -> Iterator[Hit]:
    """All needles in one file: its bytes, and what they say decoded."""
    data = path.read_bytes()
    yield from scanner.find(data, where)
    if data.startswith(b"PAR1") and data.endswith(b"PAR1"):
        table = pq.read_table(path, partitioning=None)
        yield from _find_in_table(scanner, table, where)
    elif data.startswith(b"SQLite format 3"):
        yield from _find_in_sqlite(scanner, path, where)
    elif data[8:12] == b"DUCK":
        yield from _find_in_duckdb(scanner, path, where)
    elif (plain := _unpacked(data)) is not None:
        yield from scanner.find(plain, f"{where} unpacked")


def _find_in_table(scanner: Scanner, table: pa.Table, where: str) -> Iterator[Hit]:
    yield from scanner.find(str(table.schema).encode(), f"{where} schema")
    for name, column in zip(table.column_names, table.columns, strict=True):
        for chunk in column.chunks:
            yield from scanner.find_in_column(chunk, f"{where} column {name}")


def _leaves(values: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_struct(values.type):
        for child in values.flatten():
            yield from _leaves(child)
    elif pa.types.is_map(values.type):
        yield from _leaves(values.keys)
        yield from _leaves(values.items)
    elif pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        yield from _leaves(values.flatten())
    else:
        yield values


def _find_in_sqlite(scanner: Scanner, path: Path, where: str) -> Iterator[Hit]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.text_factory = bytes
        tables = [r[0].decode() for r in connection.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            cells = [c for row in connection.execute(f'select * from "{table}"') for c in row]
            texts = [c if isinstance(c, bytes) else str(c).encode() for c in cells if c is not None]
            yield from scanner.find(b"\0".join(texts), f"{where} table {table}")
            for plain in filter(None, map(_unpacked, texts)):
                yield from scanner.find(plain, f"{where} table {table} unpacked")
    connection.close()


def _find_in_duckdb(scanner: Scanner, path: Path, where: str) -> Iterator[Hit]:
    with duckdb.connect(str(path), read_only=True) as connection:
        for name, comment, sql in connection.execute("select view_name, comment, sql from duckdb_views() where not internal").fetchall():
            yield from scanner.find(f"{comment} {sql}".encode(), f"{where} view {name}")
        for schema, name, comment in connection.execute("select schema_name, table_name, comment from duckdb_tables()").fetchall():
            yield from scanner.find(str(comment).encode(), f"{where} table {name}")
            yield from _find_in_table(scanner, connection.table(f'"{schema}"."{name}"').to_arrow_table(), f"{where} table {name}")


def _unpacked(data: bytes) -> bytes | None:
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:1] == b"\x78":
            return zlib.decompress(data)
        if data[:4] in (b"H4sI", b"eJz\x00") or data[:2] in (b"eJ", b"eN"):
            return zlib.decompress(base64.b64decode(data))
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    return None
