"""Bytes of one CDA document -> a tree of elements that is safe to walk.

Belongs here: encodings, what is refused before and while the XML is read, settings of lxml. Does not belong here: what an element means (`ccda`).

Refused: any DOCTYPE, before lxml sees a byte of it (outside entities, billion laughs); text nodes over 10 MB and nesting beyond the limit
(huge trees are off); what is not well-formed. Nothing is read from the network or from other files.
Source: Extensible Markup Language (XML) 1.0, fifth edition, sections 2.8 and 4.3.3, appendix F.
"""

from __future__ import annotations

import re
from functools import cache

from lxml import etree

from assets.formats.reasons import FileRefused, Reason

_WIDE = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
         (b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))  # fmt: skip
_DECLARED = re.compile(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]{0,39})[\"']")
_AS_IT_IS = frozenset({"utf-8", "ascii"})
_PROLOG = re.compile(rb"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.S)
_MARK = b"\xef\xbb\xbf"


def read_tree(data: bytes, *, depth: int) -> etree._Element:
    """Parse one document.

    Args:
        data: The whole file.
        depth: Deepest nesting of elements that is accepted.

    Returns:
        The root; comments and processing instructions are gone.

    Raises:
        FileRefused: `encoding`, `xml_doctype`, `too_deep`, `record_too_large` or `invalid_document`. Names a line at most, never a value.
    """
    text = _as_utf8(data)
    if text.startswith(b"<!DOCTYPE", _PROLOG.match(text).end()):  # type: ignore[union-attr]  # it matches the empty text
        raise _doctype()
    try:
        root = etree.fromstring(text, _parser())
    except etree.XMLSyntaxError as error:
        raise _refusal(error, text) from None
    if root.getroottree().docinfo.internalDTD is not None:  # in a place the look at the prolog did not foresee
        raise _doctype()
    if _is_deeper(depth)(root):
        raise FileRefused(Reason.TOO_DEEP, f"more than {depth} levels of elements")
    return root


def _as_utf8(data: bytes) -> bytes:
    """Turn the document into UTF-8 by its byte order mark or declaration; an undeclared one is UTF-8."""
    encoding = next((name for mark, name in _WIDE if data.startswith(mark)), None)
    if encoding is None:
        data = data.removeprefix(_MARK)
        declared = _DECLARED.match(data)
        encoding = declared[1].decode() if declared else "utf-8"
    try:
        if encoding.lower().replace("_", "-") in _AS_IT_IS or encoding.lower() == "us-ascii":
            return data  # lxml is as strict, and this is most documents
        return data.decode(encoding).removeprefix("\ufeff").encode()
    except (LookupError, UnicodeError):
        raise FileRefused(Reason.ENCODING, "the bytes are not text in the encoding that the document declares") from None


@cache
def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",  # overrides the declaration, which `_as_utf8` has dealt with
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


@cache
def _is_deeper(depth: int) -> etree.XPath:
    """Is there an element below this many levels? One pass in C; a walk in Python costs as much as reading the document."""
    return etree.XPath("boolean(" + "/*" * (depth + 1) + ")")


def _doctype() -> FileRefused:
    return FileRefused(Reason.XML_DOCTYPE, "a DOCTYPE stands before the document")


def _refusal(error: etree.XMLSyntaxError, text: bytes) -> FileRefused:
    """The reason for what lxml complains about; its message is not passed on, as it may quote the document."""
    if getattr(error, "code", None) == etree.ErrorTypes.ERR_RESOURCE_LIMIT:  # an attribute that the types of lxml leave out
        deep = (error.msg or "").startswith("Excessive depth")
        return FileRefused(Reason.TOO_DEEP if deep else Reason.RECORD_TOO_LARGE, "a limit of the XML library")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return FileRefused(Reason.ENCODING, "the bytes are not text in the encoding that the document declares")
    return FileRefused(Reason.INVALID_DOCUMENT, f"the XML is not well-formed at line {error.lineno}")
