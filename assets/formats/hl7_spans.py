"""Where fields and components of HL7 v2 messages with the standard separators begin and end, for all segments of a name at once.

Belongs here: positions of separators in a chunk. Does not belong here: texts, which segment a row reads (`hl7_columnar`).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from assets.formats.hl7_arrays import Numbers, places_of
from assets.formats.hl7_stream import Records, code_of

_FAR = 2**30
_PADDING = np.full(256, _FAR, np.int32)
"""Behind the last separator: as far as any field that is asked for."""
_SEPARATES = np.zeros(256, bool)
_SEPARATES[list(b"|^~&\r")] = True
_CARET, _AMPERSAND = b"^&"


class Spans:
    """Positions in one chunk.

    Every method returns (starts, ends) or takes them: int32, one entry a segment of the name, in order of lines; a span that ends where it
    begins is empty.
    """

    def __init__(self, records: Records, inside: Numbers) -> None:
        """Take the lines of a chunk, and which of them belong to a message."""
        self._records, self._inside = records, inside
        self._lines: dict[str, Numbers] = {}
        self._first_of: dict[str, Numbers] = {}
        self._pipes = np.concatenate([records.pipes, _PADDING])
        self._fields = np.concatenate([records.fields, _PADDING])
        self._first = np.searchsorted(records.pipes, records.starts)
        self._edges: dict[tuple[str, int | None], Numbers] = {}
        self._marks: dict[tuple[str, int], Numbers] = {}
        self._places: dict[int, tuple[Numbers, Numbers]] = {}
        self._last_field: tuple[str, int, Numbers, Numbers] = ("", 0, _PADDING, _PADDING)
        self._reached: list[tuple[Numbers, Numbers]] = []

    def lines_of(self, name: str) -> Numbers:
        """Lines of all segments of a name, ascending."""
        if name not in self._lines:
            self._lines[name] = np.flatnonzero((self._records.codes == code_of(name)) & self._inside)
        return self._lines[name]

    def has_escapes(self, name: str) -> bool:
        """Does any segment of this name hold the escape character?"""
        return len(self._marks_of(name, ord("\\"))) > 1

    def field(self, name: str, field: int) -> tuple[Numbers, Numbers]:
        """Spans of a field in all segments of a name; kept, as several components of a field are asked for one after the other."""
        if self._last_field[:2] != (name, field):
            place = field - 1 if name == "MSH" else field
            ends = self._edge(name, None)
            starts = np.minimum(self._edge(name, place - 1) + 1, ends)
            self._last_field = (name, field, starts, self._edge(name, place))
            self._reached = []
        return self._last_field[2], self._last_field[3]

    def _edge(self, name: str, place: int | None) -> Numbers:
        """Where separator number `place` stands in each segment of a name, or the segment's end where it has fewer (None: its end)."""
        if (name, place) not in self._edges:
            lines = self.lines_of(name)
            if place is None:
                self._edges[name, None] = self._records.ends.take(lines)
            else:
                if name not in self._first_of:
                    self._first_of[name] = self._first.take(lines)
                self._edges[name, place] = np.minimum(self._pipes.take(self._first_of[name] + place), self._edge(name, None))
        return self._edges[name, place]

    def component(self, name: str, field: int, component: int) -> tuple[Numbers, Numbers]:
        """Spans of one component of the first repetition of a field, of that the first subcomponent.

        From the separator in front of the field, the next one ends its first component, whichever it is; while it is a caret, the next
        ends the next component.
        """
        starts, ends = self.field(name, field)
        if not self._reached:
            before = self._fields.take(self._first_of[name] + (field - (2 if name == "MSH" else 1)))
            self._reached.append((before, ends > starts))
        records = self._records
        while len(self._reached) < component:
            at, there = self._reached[-1]
            at = at + 1
            self._reached.append((at, there & (records.separated_by.take(at, mode="clip") == _CARET)))
        at, there = self._reached[component - 1]
        if component > 1:
            starts = records.separators.take(at, mode="clip") + 1
        ends = np.where(there, records.separators.take(at + 1, mode="clip"), starts)
        ampersands = self._marks_of(name, _AMPERSAND)
        if len(ampersands) > 1:
            ends = np.minimum(ampersands.take(np.searchsorted(ampersands, starts)), ends)
        return starts, ends

    def _marks_of(self, name: str, mark: int) -> Numbers:
        """Places of a rare mark within the segments of a name, then one far behind everything."""
        if (name, mark) not in self._marks:
            places, codes = self._all_marks(mark)
            self._marks[name, mark] = np.concatenate([places[codes == code_of(name)], _PADDING[:1]])
        return self._marks[name, mark]

    def _all_marks(self, mark: int) -> tuple[Numbers, Numbers]:
        """Places of a rare mark, and in which segment each stands."""
        if mark not in self._places:
            records = self._records
            places = places_of(records.letters == mark).astype(np.int32)
            codes = records.codes[np.searchsorted(records.starts, places, side="right") - 1]
            self._places[mark] = places, codes
        return self._places[mark]

    @cached_property
    def loose(self) -> frozenset[int]:
        """Segments in which a blank or a quote stands beside a separator: only their values are trimmed, most chunks have few."""
        letters = self._records.letters
        places = places_of((letters == 32) | (letters == 34))
        edge = _SEPARATES[letters[np.maximum(places - 1, 0)]] | _SEPARATES[letters[np.minimum(places + 1, len(letters) - 1)]]
        lines = np.searchsorted(self._records.starts, places[edge], side="right") - 1
        return frozenset(np.unique(self._records.codes[lines]).tolist())

    def trim(self, starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
        """Blanks around a value are not part of it; two quotes alone delete a value, which leaves none."""
        letters = self._records.letters
        blank = (letters[starts] == 32) & (starts < ends)
        while blank.any():
            starts = starts + blank
            blank = (letters[starts] == 32) & (starts < ends)
        blank = (letters[ends - 1] == 32) & (starts < ends)
        while blank.any():
            ends = ends - blank
            blank = (letters[ends - 1] == 32) & (starts < ends)
        quoted = letters[starts] == 34
        if quoted.any():
            deleted = quoted & (ends - starts == 2) & (letters[starts + 1] == 34)
            ends = np.where(deleted, starts, ends)
        return starts, ends
