"""Counts the records of XML documents by their tags: CDA documents and their entries, subjects and events of CDISC ODM.

Belongs here: the XML part of the rule in `count`. Does not belong here: an XML library, anything the parser uses.
Text in comments, CDATA sections and processing instructions is no tag. In well-formed XML an attribute holds no `<`, so each that is left begins one.
"""

from __future__ import annotations

import codecs
import re

_TOKEN = rb"<!--|<!\[CDATA\[|<\?|<(?:[^\s<>/!?:]{1,200}:)?(%b)(?=[\s/>])"
_ENDS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
_LONGEST_TOKEN = 256
_WIDE = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
         (b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))  # fmt: skip


class TagCounter:
    """Looks for start tags, chunk by chunk. Memory: one chunk."""

    def __init__(self, *names: str) -> None:
        """Names of elements, without a prefix."""
        self._token = re.compile(_TOKEN % "|".join(names).encode())
        self._decoder: codecs.IncrementalDecoder | None = None
        self._begun = False
        self._carry = b""
        self._end = b""  # of the comment, CDATA section or instruction that is open
        self._holds_text = False

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        if not self._begun and chunk:
            self._begun = True
            wide = next((name for mark, name in _WIDE if chunk.startswith(mark)), None)
            self._decoder = codecs.getincrementaldecoder(wide)("replace") if wide else None
        data = self._decoder.decode(chunk).encode("utf-8", "surrogatepass") if self._decoder else chunk
        self._holds_text = self._holds_text or bool(data.strip())
        self._scan(self._carry + data)

    @property
    def broken(self) -> str:
        """What is broken, at the end."""
        return "a comment, CDATA section or instruction is not closed" if self._end else ""

    @property
    def holds_text(self) -> bool:
        """Is there anything but white space?"""
        return self._holds_text

    def found(self, name: bytes) -> None:
        """A start tag."""
        raise NotImplementedError

    def _scan(self, data: bytes) -> None:
        at = 0
        while True:
            if self._end:
                stop = data.find(self._end, at)
                if stop < 0:
                    self._carry = data[max(at, len(data) - len(self._end) + 1) :]
                    return
                at, self._end = stop + len(self._end), b""
            token = self._token.search(data, at)
            if token is None:
                tag = data.rfind(b"<", at)
                self._carry = data[tag:] if tag >= 0 and len(data) - tag <= _LONGEST_TOKEN else b""
                return
            at = token.end()
            self._end = _ENDS.get(token[0], b"")
            if not self._end:
                self.found(token[1])


class EntryCounter(TagCounter):
    """A CDA document is a record, and so is each element named `entry`."""

    def __init__(self) -> None:
        super().__init__("entry")
        self._entries = 0

    def found(self, name: bytes) -> None:
        """An entry."""
        self._entries += 1

    def close(self) -> tuple[int, str]:
        """Records, and what is broken."""
        return self._entries + self.holds_text, self.broken


class OdmCounter(TagCounter):
    """Each StudyEventData of an ODM file is a record, each SubjectData without one, and each ItemDef."""

    def __init__(self) -> None:
        super().__init__("SubjectData", "StudyEventData", "ItemDef")
        self._records, self._is_alone = 0, False

    def found(self, name: bytes) -> None:
        """A subject is counted when the next begins, unless an event came in between."""
        if name == b"SubjectData":
            self._records += self._is_alone
            self._is_alone = True
        else:
            self._records += 1
            self._is_alone &= name != b"StudyEventData"

    def close(self) -> tuple[int, str]:
        """Records, and what is broken."""
        return self._records + self._is_alone, self.broken
