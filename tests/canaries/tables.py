"""Canaries in tables: in cells that belong to a person, in cells where nothing of a person belongs, in headers and in rows that no parser can read.

Belongs here: delimited text, and what of a table is an identifier by contract and allow-list. Does not belong here: other formats (`documents`, `plant`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assets.contracts.table import load_contract
from assets.privacy.scrub import load_rules
from assets.sites.site import Feed
from tests.canaries.needles import KINDS, SHORT, STRUCTURED, Flock

RESIDENT = re.compile(r"(?<![\w-])(\d{6})(-?)([1-8]\d{6})(?![\w-])")
EXTRA = ("성명", "영문성명", "연락처_2", "비고")


@dataclass(frozen=True)
class Table:
    """What the parts of a table mean.

    Attributes:
        local: Header -> the kind of number a person is known by.
        texts: Headers whose values pass as they are: codes and units. A name there cannot be told from a code, so only what has a shape is planted.
        names: Those of them that hold names of places and things.
        read: All headers that are read.
    """

    local: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()


def meaning(feed: Feed, entity: str, header: Sequence[str]) -> Table:
    """What the columns of a delivered table are, by contract, allow-list and site file."""
    rules = load_rules(feed.kind.family).get(entity)
    if rules is None:  # a registry: its dictionary says what is asked, and its events have names
        return Table(
            texts=frozenset(h for h in header if h.startswith("redcap_")),
            names=frozenset(h for h in header if "Field" in h or "Form" in h or "Choices" in h),
        )
    types = {c.name: c.type for c in load_contract(feed.kind.family).entities[entity].columns}
    names = feed.columns.get(entity, {})
    folded = {name.casefold(): name for name in header}

    def headers(paths: Iterator[str]) -> frozenset[str]:
        found = (folded.get(names.get(path, path).casefold()) or folded.get(path.casefold()) for path in paths)
        return frozenset(name for name in found if name)

    def parts(path: str) -> list[str]:
        return re.split(r"[|+,]", path)

    kept = {c: r for c, r in rules.rules.items() if r.verb in ("keep", "keep_if", "answer") and types[c] == "string"}
    people = [r.path for r in rules.rules.values() if r.verb == "person"] + [p for s, p in rules.identity.items() if s != "kr_rrn"]
    every = [r.path for r in rules.rules.values()] + list(rules.identity.values())
    scopes = [str(r.scope).partition("=")[0] for r in rules.rules.values() if r.verb == "keep_if"]
    return Table(
        local=headers(p for path in people for p in re.split(r"[|+]", path.rpartition(",")[2])),
        texts=headers(p for r in kept.values() for p in parts(r.path)) | headers(iter(scopes)),
        names=headers(p for c, r in kept.items() if c.endswith(("_name", "_text", "_version", "_codes")) for p in parts(r.path)),
        read=headers(p for path in every for p in parts(path)) | headers(iter(scopes)),
    )


def residents_replaced(text: str, flock: Flock, place: str) -> str:
    """Every resident number becomes a canary, the same one each time and with the dash it had."""

    def replaced(match: re.Match[str]) -> str:
        canary = flock.instead_of("resident number", match[1] + match[3], place)
        return canary if match[2] else canary.replace("-", "")

    return RESIDENT.sub(replaced, text)


class DelimitedPlanter:
    """Plants canaries in one delimited file."""

    def __init__(self, feed: Feed, flock: Flock, where: str) -> None:
        self._feed, self._flock, self._where = feed, flock, where
        self._quote = feed.quote or '"'

    def _row(self, cells: Sequence[str]) -> str:
        out = io.StringIO()
        quoting = csv.QUOTE_MINIMAL if self._feed.quote else csv.QUOTE_NONE
        csv.writer(
            out, delimiter=self._feed.delimiter, lineterminator="\r\n", quoting=quoting, quotechar=self._quote, escapechar="\\"
        ).writerow(cells)
        return out.getvalue()

    def read(self, content: bytes) -> tuple[list[str], list[list[str]]]:
        """Header and rows of a delivered file; rows that are no rows are left out."""
        text = residents_replaced(
            content.decode(self._feed.encoding, errors="replace").replace("\ufffd", ""), self._flock, f"{self._where} resident number"
        )
        quoting = csv.QUOTE_MINIMAL if self._feed.quote else csv.QUOTE_NONE
        header, *rows = csv.reader(io.StringIO(text), delimiter=self._feed.delimiter, quotechar=self._quote, quoting=quoting)
        header[0] = header[0].removeprefix("\ufeff")
        return header, [row for row in rows if len(row) == len(header)]

    def files(self, content: bytes, entity: str) -> Iterator[bytes]:
        """The file with canaries, then files that are wrong as a whole."""
        header, rows = self.read(content)
        table = meaning(self._feed, entity, header)
        planted = [self._planted(header, row, table) for row in rows]
        mutated = list(self._mutated(header, rows, table))
        lines = [self._row([*header, *EXTRA]), *map(self._row, planted), *map(self._row, mutated)]
        yield self._encoded("".join(lines)) + self._malformed(rows)
        yield from self._wrong_as_a_whole(header, rows, table)

    def planted(self, content: bytes, entity: str) -> tuple[list[str], list[list[str]]]:
        """Header and rows with canaries, for other containers than text."""
        header, rows = self.read(content)
        table = meaning(self._feed, entity, header)
        return header, [self._planted(header, row, table)[: len(header)] for row in rows] + [
            row[: len(header)] for row in self._mutated(header, rows, table)
        ]

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._feed.encoding)

    def _planted(self, header: Sequence[str], row: Sequence[str], table: Table) -> list[str]:
        """Identifiers where they belong: in the columns of people, and in columns that nobody reads."""
        cells = []
        for name, cell in zip(header, row, strict=True):
            if name in table.local and cell and not RESIDENT.fullmatch(cell):
                cell = self._local(cell)
            elif table.read and name not in table.read:
                cell = self._flock.any(f"{self._where} unread column")
            cells.append(cell)
        return cells + [self._flock.any(f"{self._where} further column") for _ in EXTRA]

    def _local(self, cell: str) -> str:
        """Numbers of people stay numbers: some columns promise that."""
        if cell.lstrip("-").isdigit():
            return cell
        return self._flock.instead_of("record number", cell, f"{self._where} person")

    def _mutated(self, header: Sequence[str], rows: Sequence[list[str]], table: Table) -> Iterator[list[str]]:
        """A row for each column: a canary where something else belongs."""
        for at, name in list(enumerate(header))[:: self._flock.every]:
            cells = [*rows[at % len(rows)], *[""] * len(EXTRA)]
            kinds = self.kinds(name, table)
            cells[at] = self._flock.any(f"{self._where} cell of {name}", kinds)
            yield cells

    @staticmethod
    def kinds(name: str, table: Table) -> tuple[str, ...]:
        """A name cannot be told from a code, and a text not from the name of a place."""
        if name in table.names:
            return SHORT
        return STRUCTURED if name in table.texts else KINDS

    def _malformed(self, rows: Sequence[list[str]]) -> bytes:
        """Rows that no parser can read."""
        flock, where = self._flock, f"{self._where} malformed row"
        ragged = [*rows[0], *(flock.any(where) for _ in range(len(EXTRA) + 3))]
        short = [flock.any(where), flock.any(where)]
        nul = ["\0" + flock.any(where), *rows[0][1:], *[""] * len(EXTRA)]
        damaged = (
            self._encoded(flock.any(where))
            + b"\xff\xfe\x81"
            + self._encoded(self._feed.delimiter) * (len(rows[0]) + len(EXTRA) - 1)
            + b"\r\n"
        )
        unclosed = f"{self._quote}{flock.any(where)}{self._feed.delimiter}{flock.any(where)}\r\n"
        return self._encoded(self._row(ragged) + self._row(short) + self._row(nul)) + damaged + self._encoded(unclosed)

    def _wrong_as_a_whole(self, header: Sequence[str], rows: Sequence[list[str]], table: Table) -> Iterator[bytes]:
        flock, where = self._flock, f"{self._where} header"
        strangers = [flock.one(kind, where) for kind in KINDS]
        yield self._encoded(self._row([*header, *strangers]) + self._row([*rows[0], *[""] * len(strangers)]))
        yield self._encoded(self._row([*header[:1], *(flock.one(kind, where) for kind in KINDS)]) + self._row(["x"] * (len(KINDS) + 1)))
        yield self._encoded(self._row([*header[-1:], *(flock.one(kind, where) for kind in KINDS)]) + self._row(["x"] * (len(KINDS) + 1)))
        twice = flock.any(where)
        yield self._encoded(self._row([*header, twice, twice]) + self._row([*rows[0], "", ""]))
        headless = [flock.one(kind, f"{self._where} no header") for kind in KINDS]
        yield self._encoded(self._row(headless) + self._row(headless))
        unclosed = f"{self._quote}{flock.any(where)}"
        yield self._encoded(unclosed)
