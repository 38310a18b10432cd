"""Bytes of an XML file of any size -> parse events that are safe to follow.

Belongs here: encodings, what is refused before and while the XML is read, settings of lxml. Does not belong here: what an element means (`odm`).

Refused: any DOCTYPE, text nodes over 10 MB, nesting beyond the limit, what is not well-formed. Nothing is read from the network or other files.
Source: Extensible Markup Language (XML) 1.0, fifth edition, sections 2.8 and 4.3.3, appendix F.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import cast

from lxml import etree

from assets.formats.reasons import FileRefused, Reason
from assets.formats.stream import BLOCK_BYTES, Read

_WIDE = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
         (b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))  # fmt: skip
_DECLARED = re.compile(rb"\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]{0,39})[\"']")
_PROLOG = re.compile(rb"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.S)


def parse_events(read: Read, *, depth: int, record_bytes: int) -> Iterator[tuple[str, etree._Element]]:
    """Follow a document, element by element.

    Args:
        read: Its bytes.
        depth: Deepest nesting of elements that is accepted.
        record_bytes: Most bytes between two calls of `clear` of the reader, in fact: between two ends of elements near the root. A document
            that holds more in one piece is refused.

    Yields:
        ("start" or "end", element). The caller clears what it is done with.

    Raises:
        FileRefused: `encoding`, `xml_doctype`, `too_deep`, `record_too_large` or `invalid_document`. Names a line at most, never a value.
    """
    parser = etree.XMLPullParser(
        ("start", "end"), encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        attribute_defaults=False, huge_tree=False, recover=False, remove_comments=True, remove_pis=True, collect_ids=False,
    )  # fmt: skip
    level, gathered, is_first = 0, 0, True
    try:
        for block in _as_utf8(read):
            if is_first and block.startswith(b"<!DOCTYPE", _PROLOG.match(block).end()):  # type: ignore[union-attr]
                raise _doctype()
            parser.feed(block)
            gathered += len(block)
            for action, found in parser.read_events():
                element = cast(etree._Element, found)
                if is_first:
                    is_first = False
                    if element.getroottree().docinfo.internalDTD is not None:
                        raise _doctype()
                level += 1 if action == "start" else -1
                if level > depth:
                    raise FileRefused(Reason.TOO_DEEP, f"more than {depth} levels of elements")
                if action == "end" and level <= 4:  # a StudyEventData or anything above it: the reader lets go of it
                    gathered = 0
                yield action, element
            if gathered > record_bytes:
                raise FileRefused(Reason.RECORD_TOO_LARGE, f"more than {record_bytes} bytes in one piece")
        parser.close()
    except etree.XMLSyntaxError as error:
        raise _refusal(error) from None


def _as_utf8(read: Read) -> Iterator[bytes]:
    """Blocks as UTF-8, by byte order mark or declaration; an undeclared document is UTF-8."""
    first = read(BLOCK_BYTES)
    encoding = next((name for mark, name in _WIDE if first.startswith(mark)), None)
    declared = _DECLARED.match(first.removeprefix(codecs.BOM_UTF8))
    try:
        name = codecs.lookup(encoding or (declared[1].decode() if declared else "utf-8")).name
        decode = codecs.getincrementaldecoder(name)("strict").decode
        text = decode(first).removeprefix("\ufeff")
        while True:
            if text:
                yield text.encode()
            block = read(BLOCK_BYTES)
            text = decode(block, not block)
            if not block:
                if text:
                    yield text.encode()
                return
    except (LookupError, UnicodeError):
        raise FileRefused(Reason.ENCODING, "the bytes are not text in the encoding that the document declares") from None


def _doctype() -> FileRefused:
    return FileRefused(Reason.XML_DOCTYPE, "a DOCTYPE stands before the document")


def _refusal(error: etree.XMLSyntaxError) -> FileRefused:
    """The reason for what lxml complains about; its message is not passed on, as it may quote the document."""
    if getattr(error, "code", None) == etree.ErrorTypes.ERR_RESOURCE_LIMIT:
        deep = (error.msg or "").startswith("Excessive depth")
        return FileRefused(Reason.TOO_DEEP if deep else Reason.RECORD_TOO_LARGE, "a limit of the XML library")
    return FileRefused(Reason.INVALID_DOCUMENT, f"the XML is not well-formed at line {error.lineno}")
