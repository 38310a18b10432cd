"""Counts the rows of delimited text.

Belongs here: the delimited part of the rule in `count`. Does not belong here: fields, types, anything the parser uses.
"""

from __future__ import annotations

from collections import deque

import numpy as np


class RowCounter:
    """Counts lines; only around quotes does it look closer."""

    def __init__(self, delimiter: bytes, quote: bytes, record_bytes: int) -> None:
        self._delimiter, self._quote, self._limit = delimiter, quote, record_bytes
        self._rows = 0
        self._tail = b""
        self._passing = False  # within a line over the limit, which was counted
        self._open: deque[bytes] = deque()  # lines since a quote that is not closed yet
        self._open_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        data = self._tail + chunk if self._tail else chunk
        start = 0
        if self._passing:
            start = data.find(b"\n") + 1
            if not start:
                return
            self._passing = False
        data = data[start:] if start else data
        at = self._many(data)
        cut = data.rfind(b"\n") + 1
        if at < cut and (at == 0 or self._open or len(data) - at > self._limit):
            for line in data[at : cut - 1].split(b"\n"):
                self._line(line)
            at = cut
        self._tail = data[at:]
        if len(self._tail) > self._limit:
            self._line(self._tail)
            self._tail, self._passing = b"", True

    def close(self) -> tuple[int, str]:
        """Rows without the header, and what is broken."""
        if self._tail:
            for line in self._tail.removesuffix(b"\n").split(b"\n"):
                self._line(line)
        note = "a quoted field is never closed" if self._open else ""
        while self._open:
            self._restart()
        return max(self._rows - 1, 0), note

    def _many(self, data: bytes) -> int:
        """Count the records of data in which every quote stands where it may. Returns where the last one ends; 0 for data in doubt."""
        if self._open:
            return 0
        array = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(array == 10)
        if self._quote and self._quote in data:
            quotes = np.flatnonzero(array == self._quote[0])
            ends = ends[(np.searchsorted(quotes, ends) & 1) == 0]  # a line feed after an odd number of quotes lies within quotes
            if len(ends) == 0 or not self._proper(array, quotes[quotes < ends[-1]]):
                return 0
        if len(ends) == 0:
            return 0
        lengths = np.diff(ends, prepend=-1) - 1
        if int(lengths.max()) > self._limit:
            return 0
        lone = ends[lengths == 1]
        self._rows += len(ends) - int(np.count_nonzero(lengths == 0)) - int(np.count_nonzero(array[lone - 1] == 13))
        return int(ends[-1]) + 1

    def _proper(self, array: np.ndarray, quotes: np.ndarray) -> bool:
        """Does every quote open a field, close one, or belong to a doubled quote?"""
        quote, delimiter = self._quote[0], self._delimiter[0]
        opens, closes = quotes[::2], quotes[1::2]
        before = np.where(opens == 0, 10, array[opens - 1])
        after = array[closes + 1]
        ended = (after == 10) | ((after == 13) & (array[np.minimum(closes + 2, len(array) - 1)] == 10))
        well_opened = (before == delimiter) | (before == 10) | (before == quote)
        return bool(np.all(well_opened) and np.all(ended | (after == delimiter) | (after == quote)))

    def _line(self, line: bytes) -> None:
        if not self._open:
            self._fresh(line)
            return
        still, proper = self._scan(line.removesuffix(b"\r"), inside=True)
        while self._open:
            if proper and self._open_bytes + len(line) <= self._limit:
                if still:
                    self._open.append(line)
                    self._open_bytes += len(line) + 1
                else:
                    self._rows += 1
                    self._open, self._open_bytes = deque(), 0
                return
            self._restart()
        self._fresh(line)

    def _fresh(self, line: bytes) -> None:
        """A line that begins outside of quotes."""
        if self._leaves_open(line):
            self._open.append(line)
            self._open_bytes = len(line) + 1
        else:
            self._rows += line not in (b"", b"\r")

    def _leaves_open(self, line: bytes) -> bool:
        if len(line) > self._limit or not self._quote or self._quote not in line:
            return False
        still, proper = self._scan(line.removesuffix(b"\r"), inside=False)
        return proper and still

    def _restart(self) -> None:
        """The quote was never closed: its line is a record by itself, and the next line that opens one takes its place.

        The lines after that one were seen to stay within quotes, and are not looked at again: else a hostile file takes hours.
        """
        self._rows += 1
        self._open_bytes -= len(self._open.popleft()) + 1
        while self._open and not self._leaves_open(self._open[0]):
            line = self._open.popleft()
            self._rows += line not in (b"", b"\r")
            self._open_bytes -= len(line) + 1

    def _scan(self, line: bytes, *, inside: bool) -> tuple[bool, bool]:
        """(a quoted field is open at the end, every quote stands where it may)."""
        quote, delimiter, at = self._quote, self._delimiter, 0
        while (found := line.find(quote, at)) >= 0:
            if inside:
                after = line[found + 1 : found + 2]
                if after == quote:
                    at = found + 2
                    continue
                if after not in (b"", delimiter):
                    return False, False
                inside, at = False, found + 1
            elif found == 0 or line[found - 1 : found] == delimiter:
                inside, at = True, found + 1
            else:  # a quote within a plain field is an ordinary character
                at = line.find(delimiter, found)
                if at < 0:
                    return False, True
        return inside, True
