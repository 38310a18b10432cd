"""Fields of messages one by one: whatever separators, charset or line breaks they have.

Belongs here: the careful way of reading, for the messages that `hl7_columnar` must not touch and for blocks on which an earlier run died.
Does not belong here: what a field means (`hl7_model`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import pyarrow as pa

from assets.formats.hl7_arrays import Numbers
from assets.formats.hl7_model import MERGES, READ, SEGMENTS
from assets.formats.hl7_text import Separators, SiteTexts, read_identifiers, read_separators, unescape

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")


@dataclass(frozen=True)
class Segment:
    """One segment: its name, and its fields with MSH-1 counted as a field, so that `fields[n]` is field n."""

    name: str
    fields: Sequence[str]


@dataclass
class Row:
    """One row of a table: its segment and the segments it reads besides."""

    message: int
    own: Segment
    others: dict[str, Segment]


@dataclass
class Message:
    """One message, taken apart."""

    number: int
    separators: Separators
    charset: str
    digest: str
    segments: list[Segment] = field(default_factory=list)


def take_apart(number: int, text: str, charset: str) -> Message | None:
    """Cut a message into segments and fields; None where MSH-1 and MSH-2 declare no usable separators.

    A line that begins with no segment name continues the one before it.
    """
    separators = read_separators(text)
    if separators is None:
        return None
    message = Message(number, separators, charset, hashlib.sha256(text.encode()).hexdigest())
    lines: list[str] = []
    for line in text.split("\r"):
        if not line.strip():
            continue
        if _NAME.fullmatch(line[:3]) and line[3:4] in ("", separators.field):
            lines.append(line)
        else:
            lines[-1] += "\n" + line
    for line in lines:
        parts = line.split(separators.field)
        if parts[0] == "MSH":
            parts.insert(1, separators.field)
        message.segments.append(Segment(parts[0], parts))
    return message


class StepwiseMessages:
    """Messages that were taken apart.

    Attributes:
        numbers: Record number of each message within its file.
    """

    def __init__(self, messages: Sequence[Message], site: SiteTexts) -> None:
        self.messages, self._site = messages, site
        self.numbers: Numbers = np.array([m.number for m in messages], np.int64)
        self._rows: dict[str, list[Row]] = {name: [] for name in SEGMENTS}
        self._anchors = {segment: name for name, segments in SEGMENTS.items() for segment in segments}
        for position, message in enumerate(messages):
            self._walk(position, message)

    def rows(self, entity: str) -> StepwiseRows:
        """Rows of a table, one for each of its segments."""
        return StepwiseRows(self, self._rows[entity])

    def _walk(self, position: int, message: Message) -> None:
        """Follow the segments; each row keeps those that are in force where it stands."""
        force: dict[str, Segment] = {"MSH": message.segments[0]}
        last_person: Row | None = None
        for segment in message.segments:
            name = segment.name
            if name == "PID":
                for ended in ("PV1", "ORC", "OBR", "_pending"):
                    force.pop(ended, None)
                force["PID"] = segment
            elif name == "ORC":
                force.pop("OBR", None)
                force["ORC"] = force["_pending"] = segment
            elif name == "OBR":
                introduced = force.pop("_pending", None)
                force.pop("ORC", None)
                if introduced is not None:
                    force["ORC"] = introduced
                force["OBR"] = segment
            elif name in ("EVN", "PV1"):
                force[name] = segment
            elif name == "MRG" and last_person is not None:
                last_person.others.setdefault("MRG", segment)
            if (entity := self._anchors.get(name)) is not None:
                row = Row(position, segment, dict(force))
                self._rows[entity].append(row)
                last_person = row if name == "PID" else last_person

    def value(self, row: Row, name: str, number: int, component: int) -> str | None:
        """A field (component 0) or component of a row."""
        segment = row.own if row.own.name == name else row.others.get(name)
        if segment is None or number >= len(segment.fields):
            return None
        text, message = segment.fields[number], self.messages[row.message]
        if not component:
            return _clean(text)
        marks = message.separators
        if marks.repetition:
            text = text.split(marks.repetition)[0]
        parts = text.split(marks.component)
        if component > len(parts):
            return None
        text = parts[component - 1]
        if marks.subcomponent:
            text = text.split(marks.subcomponent)[0]
        cleaned = _clean(text)
        found = _clean(unescape(cleaned, marks, message.charset)) if cleaned else None
        return None if found in self._site.null_values else found

    def special(self, row: Row, name: str) -> str | int | None:
        """A value that no single field holds."""
        message = self.messages[row.message]
        if name == "patient_number":
            return self._identifiers(row, "PID", 3)[0] or self._identifiers(row, "PID", 2)[0]
        if name == "resident_number":
            return self._identifiers(row, "PID", 3)[1] or self.value(row, "PID", 19, 1)
        if name == "prior_patient_number":
            return self._identifiers(row, "MRG", 1)[0] if self.value(row, "MSH", 9, 2) in MERGES else None
        if name == "content_digest":
            return message.digest
        names = [s.name for s in message.segments]
        if name == "z_segment_count":
            return sum(n.startswith("Z") for n in names)
        return len(names) if name == "segment_count" else sum(n not in READ for n in names)

    def _identifiers(self, row: Row, name: str, number: int) -> tuple[str | None, str | None]:
        field_text, message = self.value(row, name, number, 0), self.messages[row.message]
        if not field_text:
            return None, None
        return read_identifiers(field_text, self._site, message.separators, message.charset)


class StepwiseRows:
    """Rows of one table."""

    def __init__(self, messages: StepwiseMessages, rows: Sequence[Row]) -> None:
        self._messages, self._rows = messages, rows
        self.message: Numbers = np.array([r.message for r in rows], np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def subset(self, kept: Numbers) -> StepwiseRows:
        """Only these rows."""
        return StepwiseRows(self._messages, list(compress(self._rows, kept.tolist())))

    def reads_own(self, name: str) -> bool:
        """Each row is worked out by itself here, so nothing is shared."""
        return True

    def condensed(self) -> tuple[StepwiseRows, pa.Array]:
        """Each row for itself."""
        return self, pa.array(range(len(self._rows)), pa.int32())

    def text(self, name: str, field: int, component: int) -> pa.Array:
        """A field of each row's own segment, or of the segment it reads besides."""
        return pa.array([self._messages.value(row, name, field, component) for row in self._rows], pa.string())

    def special(self, name: str) -> pa.Array:
        """A value that no single field holds."""
        kind = pa.int32() if name.endswith("_count") else pa.string()
        return pa.array([self._messages.special(row, name) for row in self._rows], kind)


def _clean(text: str) -> str | None:
    text = text.strip(" ")
    return None if text in ("", '""') else text
