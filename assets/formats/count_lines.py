"""Counts the lines of text whose columns stand at fixed positions, and those of pedigree files.

Belongs here: the fixed width and pedigree parts of the rule in `count`. Does not belong here: positions, encodings, anything the parser uses.
"""

from __future__ import annotations


class LineCounter:
    """Counts lines that are not empty."""

    def __init__(self, record_bytes: int) -> None:
        self._limit = record_bytes
        self._lines, self._tail = 0, b""
        self._is_long = False  # the line that began before was counted and is passed over

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        _, feed, rest = chunk.partition(b"\n")
        if self._is_long and not feed:
            return
        data = rest if self._is_long else self._tail + chunk
        self._is_long = False
        *lines, self._tail = data.split(b"\n")
        self._lines += self._records(lines)
        if len(self._tail) > self._limit:
            self._lines, self._tail, self._is_long = self._lines + 1, b"", True

    def close(self) -> tuple[int, str]:
        """Lines, and what is broken."""
        return self._lines + self._records([self._tail]), ""

    @staticmethod
    def _records(lines: list[bytes]) -> int:
        return len(lines) - lines.count(b"") - lines.count(b"\r")


class PedigreeCounter(LineCounter):
    """Counts lines that hold more than blanks and do not begin with `#`."""

    @staticmethod
    def _records(lines: list[bytes]) -> int:
        return sum(1 for line in lines if (text := line.lstrip()) and text[:1] != b"#")
