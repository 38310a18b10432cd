"""HL7 v2 messages (2.1 to 2.8, ER7) -> spool rows and rejected records. A record is a message.

Belongs here: the order of steps, and which message is read in which way. Does not belong here: cutting (`hl7_stream`), fields (`hl7_columnar`,
`hl7_stepwise`), values (`hl7_values`), counting (`count_hl7`).

A message lands whole or not at all: a bad date in one of its segments refuses it with that field as the rule. Messages with the standard
separators are read together, a chunk at a time; the others one by one. Both give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.formats.faults import Faults
from assets.formats.hl7_arrays import Numbers, arrow_mask, arrow_numbers, places_of, truth, validity
from assets.formats.hl7_columnar import ColumnarMessages
from assets.formats.hl7_model import MESSAGES
from assets.formats.hl7_stepwise import Message, StepwiseMessages, take_apart
from assets.formats.hl7_stream import LongRecord, Records, read_chunks
from assets.formats.hl7_text import SiteTexts, codec_of, read_separators
from assets.formats.hl7_values import Flaw, Rows, Times, Values, first_flaws, make_columns, wanted_rows
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import as_utf8, is_wide, open_source

_STANDARD_HEAD = b"MSH|^~\\&"
_CAREFUL = np.zeros(256, bool)
_CAREFUL[list(b"XCMZ")] = True
"""Begin the escape sequences that need the message's own charset or drop text: for the careful way."""


class Hl7Reader:
    """Reads HL7 v2 files into the spool of one job."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Take the site's encoding and own authority from the job; nothing is guessed."""
        self._job, self._spool, self._progress, self._faults = job, spool, progress, Faults(job)
        encoding = str(job.options.get("encoding") or "utf-8")
        self._wide = is_wide(encoding)
        self._encoding = encoding
        self._default = "utf-8" if self._wide else encoding
        self._site = SiteTexts(
            str(job.options.get("assigning_authority") or ""), frozenset(str(v) for v in job.options.get("null_values") or ()) - {""}
        )

    def read(self, file: SourceFile) -> None:
        """Read one file."""
        number, batch = 1, _Batch()
        with open_source(file, self._job.limits) as read:
            source = as_utf8(read, self._encoding) if self._wide else read
            for chunk in read_chunks(source, record_bytes=self._job.limits.record_bytes):
                if isinstance(chunk, LongRecord):
                    self._reject(file, [(number, Reason.RECORD_TOO_LARGE, None)])
                    number += 1
                    continue
                records = Records(chunk)
                batch.check(records, number)
                if len(records):
                    self._chunk(file, records, number)
                    number += len(records)

    def _chunk(self, file: SourceFile, records: Records, first: int) -> None:
        self._progress.block(file.index, first)
        numbers = np.arange(first, first + len(records), dtype=np.int64)
        careful = self._faults.careful(file.index, first)
        if not careful:
            self._faults.trip(records.data)
            self._read(file, records, numbers, stepwise=self._faults.exact(file.index))
            return
        for record, number in enumerate(numbers.tolist()):
            if reason := self._faults.skipped(file.index, number):
                self._reject(file, [(number, reason, None)])
                continue
            if records.cut_off[record]:  # only the chunk as a whole shows the frame
                self._reject(file, [(number, Reason.TRUNCATED_MESSAGE, "MLLP")])
                continue
            self._progress.record(file.index, number)
            alone = Records(records.text(record))
            self._faults.trip(alone.data)
            self._read(file, alone, np.array([number], np.int64), stepwise=True)

    def _read(self, file: SourceFile, records: Records, numbers: Numbers, *, stepwise: bool) -> None:
        """Refuse what cannot be read at all, then read the rest in the way it needs."""
        refused = _Refused()
        self._refuse_unreadable(records, refused)
        odd = np.ones(len(records), bool) if stepwise else _needs_care(records)
        plain = ~odd
        plain[list(refused.reasons)] = False
        charsets = self._charsets(records, np.flatnonzero(plain), refused)
        slow: list[Message] = []
        for record in np.flatnonzero(odd).tolist():
            if record not in refused.reasons and (message := self._take_apart(records, record, int(numbers[record]), refused)) is not None:
                slow.append(message)
        columnar = self._columnar(records, numbers, charsets, refused)
        self._reject(file, [(int(numbers[r]), reason, rule) for r, (reason, rule) in refused.reasons.items()])
        if columnar is not None:
            self._tables(file, columnar)
        if slow:
            self._tables(file, StepwiseMessages(slow, self._site))

    def _refuse_unreadable(self, records: Records, refused: _Refused) -> None:
        lengths = records.ends[records.last_line] - records.starts[records.first_line]
        for record in np.flatnonzero(~records.has_header).tolist():
            refused.add(record, Reason.MISSING_HEADER, "MSH")
        for record in np.flatnonzero(lengths > self._job.limits.record_bytes).tolist():
            refused.add(record, Reason.RECORD_TOO_LARGE, None)
        for record in np.flatnonzero(records.cut_off).tolist():
            refused.add(record, Reason.TRUNCATED_MESSAGE, "MLLP")
        if b"\0" in records.data:
            for record in _records_at(records, np.flatnonzero(records.letters[: len(records.data)] == 0)):
                refused.add(record, Reason.NUL_BYTE, None)

    def _charsets(self, records: Records, chosen: Numbers, refused: _Refused) -> dict[int, str]:
        """Codec of each of these messages, whose field separator is the standard one."""
        found: dict[int, str] = {}
        known: dict[bytes, str | None] = {b"": self._default}
        starts, ends = _eighteenth(records, chosen)
        if len(chosen) and (codec := self._common_codec(records, starts, ends)) is not None:
            return dict.fromkeys(chosen.tolist(), codec)
        for record, start, end in zip(chosen.tolist(), starts.tolist(), ends.tolist(), strict=True):
            declared = records.data[start:end]
            if declared not in known:
                known[declared] = self._codec(declared)
            codec = known[declared]
            if codec is None:
                refused.add(record, Reason.ENCODING, "MSH-18")
            else:
                found[record] = codec
        return found

    def _common_codec(self, records: Records, starts: Numbers, ends: Numbers) -> str | None:
        """The codec of all messages, where they declare the same charset, as those of one sender do."""
        width = int(ends[0] - starts[0])
        if not (ends - starts == width).all():
            return None
        declared = records.letters[starts[:, None] + np.arange(width)]
        return self._codec(declared[0].tobytes()) if (declared == declared[0]).all() else None

    def _codec(self, declared: bytes) -> str | None:
        text = declared.decode("latin-1").strip(" ")
        codec = codec_of("" if text == '""' else text, self._default)
        return self._default if self._wide and codec is not None else codec

    def _take_apart(self, records: Records, record: int, number: int, refused: _Refused) -> Message | None:
        raw = records.text(record)
        separators = read_separators(raw[:10].decode("latin-1"))
        if separators is None:
            refused.add(record, Reason.BAD_SEPARATORS, "MSH-2")
            return None
        fields = raw.split(b"\r", 1)[0].split(separators.field.encode(), 18)
        repetition = (separators.repetition or "~").encode()
        codec = self._codec(fields[17].split(repetition)[0] if len(fields) > 17 else b"")
        if codec is None:
            refused.add(record, Reason.ENCODING, "MSH-18")
            return None
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            refused.add(record, Reason.ENCODING, codec)
            return None
        return take_apart(number, text, codec)

    def _columnar(self, records: Records, numbers: Numbers, charsets: Mapping[int, str], refused: _Refused) -> ColumnarMessages | None:
        """The messages to be read together, in UTF-8."""
        whole = len(charsets) == len(records)
        if whole and _is_utf8(records.data, set(charsets.values())):
            return ColumnarMessages(records, numbers, self._site)
        texts: list[bytes] = []
        kept: list[int] = []
        for record, codec in charsets.items():
            raw = records.text(record)
            try:
                texts.append(raw if raw.isascii() else raw.decode(codec).encode())
            except UnicodeDecodeError:
                refused.add(record, Reason.ENCODING, codec)
                continue
            kept.append(record)
        if not kept:
            return None
        return ColumnarMessages(Records(b"\r".join(texts)), numbers[kept], self._site)

    # --- tables

    def _tables(self, file: SourceFile, messages: ColumnarMessages | StepwiseMessages) -> None:
        refused, times = _Refused(), Times(self._job.time_zone)
        self._refuse_unusable(messages, refused)
        columns: dict[str, list[pa.Array]] = {}
        flaws: dict[str, list[Flaw]] = {}
        places: dict[str, Numbers] = {}
        for entity, plan in self._job.entities.items():
            rows = wanted_rows(entity, messages.rows(entity))
            if len(rows):
                columns[entity], flaws[entity] = make_columns(plan, rows, times)
                places[entity] = rows.message
        for message, flaw in sorted(first_flaws(flaws, places).items()):
            refused.add(message, flaw.reason, flaw.rule)
        for entity, arrays in columns.items():
            self._write(file, entity, arrays, places[entity], messages.numbers, refused)
        self._reject(file, [(int(messages.numbers[m]), reason, rule) for m, (reason, rule) in refused.reasons.items()])

    def _refuse_unusable(self, messages: ColumnarMessages | StepwiseMessages, refused: _Refused) -> None:
        """Messages of a kind that no table holds, and messages about nobody."""
        headers = Values(messages.rows("message"))
        kinds = headers.of("MSH-9.1")
        for message in np.flatnonzero(truth(pc.is_null(kinds))).tolist():
            refused.add(message, Reason.MISSING_VALUE, "MSH-9.1")
        known = pc.is_in(kinds, value_set=pa.array(sorted(MESSAGES)))
        for message in np.flatnonzero(~truth(known)).tolist():
            refused.add(message, Reason.UNSUPPORTED_MESSAGE, "MSH-9.1")
        people: Rows = messages.rows("patient")
        named = np.zeros(len(messages.numbers), bool)
        named[people.message] = True
        named[people.message[~validity(Values(people).of("patient_number"))]] = False
        for message in np.flatnonzero(~named).tolist():
            refused.add(message, Reason.MISSING_PERSON, "PID-3")

    def _write(
        self, file: SourceFile, entity: str, arrays: Sequence[pa.Array], places: Numbers, numbers: Numbers, refused: _Refused
    ) -> None:
        place = [
            pa.repeat(pa.scalar(file.index, pa.int32()), len(places)),
            arrow_numbers(numbers[places], pa.int64()),
        ]
        batch = pa.RecordBatch.from_arrays([*arrays, *place], schema=self._spool.schema(entity))
        if refused.reasons:
            lost = np.zeros(len(numbers), bool)
            lost[list(refused.reasons)] = True
            batch = batch.filter(arrow_mask(~lost[places]))
        self._spool.write(entity, file.index, batch)

    def _reject(self, file: SourceFile, wrong: Iterable[tuple[int, Reason | str, str | None]]) -> None:
        found = [
            Rejection(number, str(reason), rule, getattr(reason, "sentence", None)) for number, reason, rule in sorted(wrong, key=_number)
        ]
        self._spool.reject(file.index, found)


class _Refused:
    """The first reason for each record that is refused."""

    def __init__(self) -> None:
        self.reasons: dict[int, tuple[Reason, str | None]] = {}

    def add(self, record: int, reason: Reason, rule: str | None) -> None:
        self.reasons.setdefault(record, (reason, rule))


class _Batch:
    """Compares BTS-1 with the messages since BHS."""

    def __init__(self) -> None:
        self._since: int | None = None

    def check(self, records: Records, first: int) -> None:
        """Take the envelope segments of a chunk whose first record has this number.

        Raises:
            FileRefused: A batch holds another number of messages than its trailer says: some were lost on the way.
        """
        for before, line in records.trailers:
            if records.is_batch_start(line):
                self._since = first + before
                continue
            text = records.data[records.starts[line] : records.ends[line]]
            said = text[4:].split(text[3:4] or b"|")[0].strip()
            held = first + before - (self._since if self._since is not None else 1)
            self._since = None
            if said.isdigit() and len(said) < 10 and int(said) != held:
                raise FileRefused(Reason.BATCH_COUNT_DIFFERS, f"{held} messages, BTS-1 says {int(said)}", rule="BTS-1")


def _number(wrong: tuple[int, Reason | str, str | None]) -> int:
    return wrong[0]


def _is_utf8(data: bytes, codecs: set[str]) -> bool:
    """May the whole chunk be read as it is?"""
    if data.isascii():
        return True
    if codecs != {"utf-8"}:
        return False
    edges = pa.array([0, len(data)], pa.int32()).buffers()[1]
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, edges, pa.py_buffer(data)]).validate(full=True)  # five times as fast as decoding
    except pa.ArrowInvalid:
        return False
    return True


def _eighteenth(records: Records, chosen: Numbers) -> tuple[Numbers, Numbers]:
    """Span of MSH-18 in these messages; empty where the segment ends before."""
    lines = records.first_line[chosen]
    ends = records.ends[lines]
    pipes = np.append(records.pipes, np.full(20, len(records.data), np.int32))
    at = np.searchsorted(records.pipes, records.starts[lines]) + 16
    starts = np.minimum(pipes[at] + 1, ends)
    return starts, np.maximum(np.minimum(pipes[at + 1], ends), starts)


def _needs_care(records: Records) -> Numbers:
    """Messages that must be read one by one: other separators, lines that are no segments, some escape sequences."""
    letters, starts = records.letters, records.starts
    heads = starts[records.first_line]
    odd = np.zeros(len(records), bool)
    for place, byte in enumerate(_STANDARD_HEAD):
        odd |= letters[np.minimum(heads + place, len(letters) - 1)] != byte
    after = letters[np.minimum(heads + len(_STANDARD_HEAD), len(letters) - 1)]
    hashed = (after == ord("#")) & (letters[np.minimum(heads + len(_STANDARD_HEAD) + 1, len(letters) - 1)] == ord("|"))
    odd |= ~((after == ord("|")) | hashed)
    first, second, third = (letters[starts + i] for i in range(3))
    named = _is_upper(first) & (_is_upper(second) | _is_digit(second)) & (_is_upper(third) | _is_digit(third))
    named &= (records.marks == ord("|")) | (records.ends - starts == 3)
    if not named.all():
        owner = np.searchsorted(records.first_line, np.flatnonzero(~named), side="right") - 1
        odd[owner[owner >= 0]] = True
    escapes = places_of(letters == ord("\\"))
    escapes = escapes[_CAREFUL[letters[escapes + 1]]]
    if len(escapes):
        odd[_records_at(records, escapes)] = True
    return odd


def _records_at(records: Records, places: Numbers) -> list[int]:
    """Records in which these bytes lie."""
    found = np.searchsorted(records.starts[records.first_line], places, side="right") - 1
    return sorted({int(f) for f in found if f >= 0})


def _is_upper(letters: Numbers) -> Numbers:
    return (letters >= ord("A")) & (letters <= ord("Z"))


def _is_digit(letters: Numbers) -> Numbers:
    return (letters >= ord("0")) & (letters <= ord("9"))
