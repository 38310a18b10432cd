"""HL7 v2 text: separators, escape sequences, character sets, identifier lists. One value at a time.

Belongs here: what single texts mean (HL7 v2.8, chapter 2, sections 2.5.4, 2.7 and 2.14.9.18; chapter 2A, CX). Does not belong here: cutting a
file into messages (`hl7_stream`), columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Separators:
    """What MSH-1 and MSH-2 declare. A separator that MSH-2 leaves out is None."""

    field: str
    component: str
    repetition: str | None = None
    escape: str | None = None
    subcomponent: str | None = None


@dataclass(frozen=True)
class SiteTexts:
    """What one site's texts mean.

    Attributes:
        own_authority: Namespace of the site's own patient numbers (CX.4).
        null_values: Component values that mean "no value".
    """

    own_authority: str = ""
    null_values: frozenset[str] = frozenset()


STANDARD = Separators("|", "^", "~", "\\", "&")

_NO_SEPARATOR = re.compile(r"[A-Za-z0-9\s\"\x00-\x20\x7f]|[^\x00-\x7f]")
_ESCAPED = re.compile(r"\\([^\\]{0,200})\\")
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


def read_separators(header: str) -> Separators | None:
    """Separators of a message that begins with `header`; None where MSH-1 or MSH-2 are no separators or repeat each other."""
    mark = header[3:4]
    if not mark:
        return None
    others = header[4:].split(mark, 1)[0]
    declared = mark + others
    if not 2 <= len(declared) <= 6 or len(set(declared)) != len(declared) or _NO_SEPARATOR.search(declared):
        return None
    return Separators(mark, *[others[i : i + 1] or None for i in range(4)])  # type: ignore[arg-type]


def unescape(text: str, separators: Separators = STANDARD, charset: str = "utf-8") -> str:
    """Resolve escape sequences; formatting, highlighting and switches of character set leave nothing or a blank.

    A sequence that the standard does not know stays as it is: it may be text.
    """
    mark = separators.escape
    if not mark or mark not in text:
        return text
    pattern = _ESCAPED if mark == "\\" else re.compile(re.escape(mark) + "([^" + re.escape(mark) + "]{0,200})" + re.escape(mark))
    return pattern.sub(lambda m: _meaning(m, separators, charset), text)


def _meaning(match: re.Match[str], separators: Separators, charset: str) -> str:
    what = match.group(1)
    known = {
        "F": separators.field, "S": separators.component, "T": separators.subcomponent, "R": separators.repetition, "E": separators.escape,
        "P": "#", "H": "", "N": "", ".br": "\n",
    }  # fmt: skip
    if what in known:
        return known[what] or ""
    if found := _HEX.fullmatch(what):
        return bytes.fromhex(found.group(1)).decode(charset, errors="replace").replace("\0", "")
    if re.fullmatch(r"[CM][0-9A-Fa-f]{4,6}|Z.*", what):
        return ""
    if re.fullmatch(r"\.(?:sp|sk|in|ti|fi|nf|ce)[+-]?\d*", what):
        return " "
    return match.group(0)


_CHARSETS = {
    "": None,
    "ascii": "ascii",
    **{f"8859/{n}": f"iso8859_{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    "unicode": "utf-8",
    "unicode utf-8": "utf-8",
    "utf-8": "utf-8",
    "ks x 1001": "cp949",
    "gb 18030-2000": "gb18030",
    "big-5": "big5",
}
"""HL7 table 0211 -> Python codec. CP949 holds all of KS X 1001 and the further Hangul that Korean senders write under that name. The Japanese
sets switch by escape bytes that collide with the separators: they are refused, not guessed."""


def codec_of(declared: str, default: str) -> str | None:
    """Codec of the first repetition of MSH-18; the site's own where MSH-18 is empty; None for a name that is not known."""
    name = " ".join(declared.split("~")[0].split()).lower()
    if name not in _CHARSETS:
        return None
    return _CHARSETS[name] or default


KEY_MARK = "\x1f"
_OWN_TYPES = {"MR": 0, "PI": 1, "PT": 2, "PN": 3, "": 4}
NATIONAL_TYPES = frozenset({"SS", "NI", "NN", "NNKOR"})


def read_identifiers(
    field: str, site: SiteTexts, separators: Separators = STANDARD, charset: str = "utf-8"
) -> tuple[str | None, str | None]:
    """The one number of a CX list (PID-3, MRG-1) under which the site knows a person, and the person's national number.

    Medical record numbers come first, then other internal numbers, then whatever is there that is no national number; among equals, the
    site's own authority, then the first. A number of another authority carries that authority: equal numbers of two hospitals are two people.
    National are the type codes SS, NI, NN and NNKOR of HL7 table 0203. What the site writes for "no value" is none.
    """
    found: str | None = None
    national: str | None = None
    best = (99, True)
    is_bare = separators is STANDARD and not _NOT_BARE.search(field)
    for repetition in field.split(separators.repetition) if separators.repetition else (field,):
        parts = repetition.split(separators.component, 5)
        if is_bare:
            number, authority, kind = parts[0], parts[3] if len(parts) > 3 else "", parts[4] if len(parts) > 4 else ""
        else:
            number, authority, kind = (_component(parts, place, separators, charset) for place in (0, 3, 4))
        if not number or number in site.null_values:
            continue
        if kind in NATIONAL_TYPES:
            national = national or number
            continue
        is_own = authority in ("", site.own_authority) or authority in site.null_values
        rank = (_OWN_TYPES.get("" if kind in site.null_values else kind, 5), not is_own)
        if rank < best:
            best, found = rank, number if is_own else f"{authority}{KEY_MARK}{number}"
    return found.replace("|", "/") if found else None, national  # the vault reads a bar as `system|value`


_NOT_BARE = re.compile(r"[^\w^~./-]")
"""What makes a list with the standard separators need more than cutting: blanks, quotes, subcomponents, escapes."""


def _component(parts: list[str], place: int, separators: Separators, charset: str) -> str:
    if place >= len(parts):
        return ""
    text = parts[place]
    if separators.subcomponent:
        text = text.partition(separators.subcomponent)[0]
    text = text.strip(" ")
    if separators.escape is not None and separators.escape in text:
        text = unescape(text, separators, charset).strip(" ")
    return "" if text == '""' else text
