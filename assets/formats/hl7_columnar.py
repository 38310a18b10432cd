"""Fields of many messages at once: positions of separators, then whole columns of text.

Belongs here: messages with the standard separators, one charset and no odd line. Does not belong here: every other message (`hl7_stepwise`), what a
field means (`hl7_model`). `tests/unit/formats/test_hl7_paths.py` holds the two ways of reading to the same rows.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.formats.hl7_arrays import Numbers, arrow_numbers, cut_texts, pick
from assets.formats.hl7_model import CONTEXT, ENVELOPE, MERGES, READ, SEGMENTS
from assets.formats.hl7_spans import Spans
from assets.formats.hl7_stream import Records, code_of
from assets.formats.hl7_text import KEY_MARK, NATIONAL_TYPES, SiteTexts, read_identifiers, unescape


class ColumnarMessages:
    """The messages of one chunk.

    Attributes:
        records: Lines of the chunk; every record is a message here.
        numbers: Record number of each message within its file.
    """

    def __init__(self, records: Records, numbers: Numbers, site: SiteTexts) -> None:
        self.records, self.numbers, self._site = records, numbers, site
        count = len(records.starts)
        self._message = np.repeat(np.arange(len(numbers)), records.last_line - records.first_line + 1)
        if len(self._message) != count:  # envelope lines belong to no message
            self._message = np.searchsorted(records.first_line, np.arange(count), side="right") - 1
            outside = np.arange(count) > records.last_line[np.maximum(self._message, 0)]
            self._message = np.where(outside, -1, self._message)
        self._start_line = records.first_line[np.maximum(self._message, 0)]
        self._spans = Spans(records, self._message >= 0)
        self._texts: dict[tuple[str, int, int], pa.Array] = {}
        self._last: dict[str, Numbers] = {}

    def rows(self, entity: str) -> ColumnarRows:
        """Rows of a table, one for each of its segments."""
        found = [self.lines_of(name) for name in SEGMENTS[entity]]
        lines = found[0] if len(found) == 1 else np.sort(np.concatenate(found))
        return ColumnarRows(self, SEGMENTS[entity], lines)

    def lines_of(self, name: str) -> Numbers:
        """Lines of all segments of a name, ascending."""
        return self._spans.lines_of(name)

    def message_of(self, lines: Numbers) -> Numbers:
        """Position of the message of each line."""
        found: Numbers = self._message[lines]
        return found

    # --- which segment a row reads besides its own

    def context(self, name: str, lines: Numbers) -> Numbers:
        """For each line the line of the segment that it reads under this name, -1 for none."""
        if name == "MSH":
            name_lines: Numbers = self._start_line
        else:
            name_lines = self._merges if name == "MRG" else self._before(name)
        found: Numbers = name_lines[lines]
        if name in ("PV1", "OBR", "ORC"):
            found = np.where(found > self._before("PID")[lines], found, -1)
        if name == "OBR":
            return np.where(found > self._before("ORC")[lines], found, -1)
        return self._order_control(lines, found) if name == "ORC" else found

    def _order_control(self, lines: Numbers, found: Numbers) -> Numbers:
        """An ORC speaks for the one OBR that follows it, and for what has no OBR."""
        order = self.context("OBR", lines)
        before = self._before("OBR")[np.maximum(order - 1, 0)]
        return np.where((order >= 0) & (found < before), -1, found)

    def _before(self, name: str) -> Numbers:
        """For each line the last line up to it that holds this segment, in the same message; else -1."""
        if name not in self._last:
            places = np.full(len(self.records.starts), -1, np.int64)
            lines = self.lines_of(name)
            places[lines] = lines
            last = np.maximum.accumulate(places)
            self._last[name] = np.where(last >= self._start_line, last, -1)
        return self._last[name]

    @cached_property
    def _merges(self) -> Numbers:
        """For each PID line the first MRG line that follows it."""
        found = np.full(len(self.records.starts), -1, np.int64)
        lines = self.lines_of("MRG")[::-1]
        people = self._before("PID")[lines]
        found[people[people >= 0]] = lines[people >= 0]
        return found

    def rank(self, name: str, lines: Numbers) -> Numbers:
        """Position of lines among all lines of their segment; -1 stays."""
        return np.where(lines >= 0, np.searchsorted(self.lines_of(name), np.maximum(lines, 0)), -1)

    # --- texts

    def texts(self, name: str, field: int, component: int) -> pa.Array:
        """A field (component 0) or component of all segments of a name, in order of lines."""
        key = (name, field, component)
        if key not in self._texts:
            self._texts[key] = self._cut(name, field, component)
        return self._texts[key]

    def _cut(self, name: str, field: int, component: int) -> pa.Array:
        starts, ends = self._spans.component(name, field, component) if component else self._spans.field(name, field)
        if code_of(name) in self._spans.loose:
            starts, ends = self._spans.trim(starts, ends)
        if not (ends > starts).any():
            return pa.nulls(len(starts), pa.string())
        texts = cut_texts(self._buffer, starts, ends)
        if not component:
            return texts
        texts = self._unescaped(texts) if self._spans.has_escapes(name) else texts
        if self._site.null_values and pc.any(means_nothing := pc.is_in(texts, value_set=self._nulls)).as_py():
            texts = pc.if_else(means_nothing, pa.scalar(None, pa.string()), texts)
        return texts

    def _unescaped(self, texts: pa.Array) -> pa.Array:
        marked = pc.fill_null(pc.match_substring(texts, "\\"), False)
        if not pc.any(marked).as_py():
            return texts
        changed = pa.array([unescape(t).strip(" ") or None for t in texts.filter(marked).to_pylist()], pa.string())
        return pc.replace_with_mask(texts, marked, changed)

    @cached_property
    def _nulls(self) -> pa.Array:
        return pa.array(sorted(self._site.null_values), pa.string())

    @cached_property
    def _buffer(self) -> pa.Buffer:
        return pa.py_buffer(self.records.data)

    # --- what no single field says

    def identifiers(self, name: str, field: int) -> tuple[pa.Array, pa.Array]:
        """The site's number of a person and the national number out of a CX list, for all segments of a name.

        A list of one number is read with all others of its kind; `read_identifiers` would give the same.
        """
        whole, number, authority, kind = (self.texts(name, field, component) for component in (0, 1, 4, 5))
        is_own = pc.is_in(authority, value_set=pa.array([None, self._site.own_authority], pa.string()))
        odd = pc.fill_null(pc.match_substring_regex(whole, r"[~|\\]"), False)
        number, national = _read_single(number, authority, kind, is_own)
        if not pc.any(odd).as_py():
            return number, national
        encoded = whole.filter(odd).dictionary_encode()
        found = [read_identifiers(text, self._site) for text in encoded.dictionary.to_pylist()]  # each distinct list once
        numbers, nationals = (pa.array([pair[i] for pair in found], pa.string()).take(encoded.indices) for i in (0, 1))
        return pc.replace_with_mask(number, odd, numbers), pc.replace_with_mask(national, odd, nationals)

    @cached_property
    def _pid3(self) -> tuple[pa.Array, pa.Array]:
        return self.identifiers("PID", 3)

    @cached_property
    def people(self) -> pa.Array:
        """The person's number of each PID segment: PID-3, else PID-2."""
        numbers = self._pid3[0]
        return numbers if numbers.null_count == 0 else pc.coalesce(numbers, self.identifiers("PID", 2)[0])

    @cached_property
    def residents(self) -> pa.Array:
        """The person's national number of each PID segment: out of PID-3, else PID-19."""
        return pc.coalesce(self._pid3[1], self.texts("PID", 19, 1))

    def digests(self) -> pa.Array:
        """SHA-256 of each message, to tell the same message sent twice. Keyed before it leaves the spool."""
        data = self.records.data
        starts = self.records.starts[self.records.first_line].tolist()
        ends = self.records.ends[self.records.last_line].tolist()
        digests = b"".join([hashlib.sha256(data[s:e]).digest() for s, e in zip(starts, ends, strict=True)]).hex().encode()
        edges = np.arange(0, len(digests) + 1, 64, dtype=np.int32)
        return pa.Array.from_buffers(pa.string(), len(starts), [None, pa.py_buffer(edges), pa.py_buffer(digests)])

    def segment_counts(self, which: str) -> pa.Array:
        """Segments of each message: all, those whose name begins with Z, or those that no table reads."""
        codes, inside = self.records.codes, self._message >= 0
        if which == "z_segment_count":
            inside &= (codes >> 16) == ord("Z")
        elif which == "unread_segment_count":
            for name in READ | ENVELOPE:
                inside &= codes != code_of(name)
        counts = np.bincount(self._message[inside], minlength=len(self.numbers)).astype(np.int32)
        return arrow_numbers(counts, pa.int32())


class ColumnarRows:
    """Rows of one table: lines of the chunk."""

    def __init__(self, messages: ColumnarMessages, names: tuple[str, ...], lines: Numbers) -> None:
        self._messages, self._names, self._lines = messages, names, lines
        self.message = messages.message_of(lines)
        self._condensed: tuple[ColumnarRows, pa.Array] | None = None

    def __len__(self) -> int:
        return len(self._lines)

    def subset(self, kept: Numbers) -> ColumnarRows:
        """Only these rows."""
        return ColumnarRows(self._messages, self._names, self._lines[kept])

    def reads_own(self, name: str) -> bool:
        """Is this the segment that the rows stand for, not one they read besides?"""
        return name in self._names

    def condensed(self) -> tuple[ColumnarRows, pa.Array]:
        """One row for each run of rows that read the same other segments, and for each row the number of its run."""
        if self._condensed is None:
            others = [self._messages.context(name, self._lines) for name in CONTEXT if name not in self._names]
            fresh = np.ones(len(self._lines), bool)
            fresh[1:] = self.message[1:] != self.message[:-1]
            for lines in others:
                fresh[1:] |= lines[1:] != lines[:-1]
            run = arrow_numbers((np.cumsum(fresh) - 1).astype(np.int32), pa.int32())
            self._condensed = ColumnarRows(self._messages, self._names, self._lines[fresh]), run
        return self._condensed

    def text(self, name: str, field: int, component: int) -> pa.Array:
        """A field of each row's own segment, or of the segment it reads besides."""
        return self._aligned(name, self._messages.texts(name, field, component))

    def special(self, name: str) -> pa.Array:
        """A value that no single field holds."""
        messages = self._messages
        if name == "patient_number":
            return self._aligned("PID", messages.people)
        if name == "resident_number":
            return self._aligned("PID", messages.residents)
        if name == "prior_patient_number":
            numbers = self._aligned("MRG", messages.identifiers("MRG", 1)[0])
            merges = pc.is_in(self.text("MSH", 9, 2), value_set=pa.array(sorted(MERGES)))
            return pc.if_else(merges, numbers, pa.scalar(None, pa.string()))
        return messages.digests() if name == "content_digest" else messages.segment_counts(name)

    def _aligned(self, name: str, column: pa.Array) -> pa.Array:
        messages = self._messages
        all_lines = messages.lines_of(name)
        if self._names == (name,):
            own = self._lines
        elif name in self._names:
            own = np.where(messages.records.codes[self._lines] == code_of(name), self._lines, -1)
        elif name in CONTEXT or name == "MSH":
            own = messages.context(name, self._lines)
        else:
            raise KeyError(f"a row of {self._names} does not read {name}")
        if len(own) == len(all_lines) and bool((own == all_lines).all()):
            return column
        return pick(column, messages.rank(name, own))


def _read_single(number: pa.Array, authority: pa.Array, kind: pa.Array, is_own: pa.Array) -> tuple[pa.Array, pa.Array]:
    """`read_identifiers` of lists of one number, as columns of its parts."""
    none = pa.scalar(None, pa.string())
    carried = number if pc.all(is_own).as_py() else pc.if_else(is_own, number, pc.binary_join_element_wise(authority, number, KEY_MARK))
    is_national = pc.is_in(kind, value_set=pa.array(sorted(NATIONAL_TYPES)))
    if not pc.any(is_national).as_py():
        return carried, pa.nulls(len(number), pa.string())
    return pc.if_else(is_national, none, carried), pc.if_else(is_national, number, none)
