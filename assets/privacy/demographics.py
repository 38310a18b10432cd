"""What a delivery says of a person beside numbers: name, birth date, sex, telephone, address. For linkage, in the vault and nowhere else.

Belongs here: one form for what sources write in many, the keyed columns by which candidates and namesakes are found. Does not belong here: where a feed
has the fields (`rules/*.toml`, sections `demographics`), storing (`demographic_store`), comparing (`linkage`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import msgspec

from assets.privacy.hangul import sound
from assets.privacy.keys import VaultKey

FIELDS = ("name", "other_name", "family", "given", "birth_date", "sex", "phone", "province", "city", "line")
"""What a section `demographics` may name. `other_name` is the name in another script; `line` may hold the whole address."""

_HANGUL, _LATIN = re.compile(r"[가-힣]"), re.compile(r"[A-Za-z]")
_NOT_HANGUL = re.compile(r"[^가-힣]+")
_NOT_WORD, _DIGITS = re.compile(r"[^0-9a-z가-힣]+"), re.compile(r"\d+")
_SEX = {
    "m": "M",
    "male": "M",
    "1": "M",
    "남": "M",
    "남자": "M",
    "남성": "M",
    "f": "F",
    "female": "F",
    "2": "F",
    "여": "F",
    "여자": "F",
    "여성": "F",
}
_PROVINCE_ENDS = re.compile(r"(특별자치시|특별자치도|특별시|광역시|도|시)$")
_OLD_PROVINCES = {"충청북": "충북", "충청남": "충남", "전라북": "전북", "전라남": "전남", "경상북": "경북", "경상남": "경남"}
_FILLERS = frozenset({"무명", "무명남", "무명녀", "미상", "신원미상", "불명", "unknown", "anonymous", "없음", "아기", "신생아"})
"""What stands where nobody's name is known: it must never make two people alike."""


class Written(NamedTuple):
    """A name or address as a source wrote it: which field of `SINGLING` it is, its one form there, and the text."""

    field: str
    form: str
    text: str


SINGLING = ("name", "roman", "address")
"""Fields of `Demographics` that may single a person out by themselves (`rarity`)."""


@dataclass(frozen=True)
class Demographics:
    """One person as one site describes them. Empty text: not known.

    Attributes:
        name: Hangul, family and given together, no spaces.
        roman: Latin letters, lower case, words in alphabetical order ("minjun kim" and "KIM, Minjun" are one).
        birth_date: YYYYMMDD, a day of the calendar's shape.
        sex: M or F.
        phone: Digits, national form (0...), 9 to 11 of them.
        region: Province without its ending, then city or district.
        address: Street, house and flat: words and numbers in order, without signs.
        written: Names and address as delivered, and as delivered before. For the search of an erasure only: no part of what is compared.
    """

    name: str = ""
    roman: str = ""
    birth_date: str = ""
    sex: str = ""
    phone: str = ""
    region: str = ""
    address: str = ""
    written: tuple[Written, ...] = field(default=(), compare=False)

    @property
    def says_anything(self) -> bool:
        """Is there enough to compare: a name, and something beside it?"""
        return bool((self.name or self.roman) and (self.birth_date or self.phone))

    def to_text(self) -> str:
        """For sealing."""
        return msgspec.json.encode(list(vars(self).values())).decode()

    @classmethod
    def of_text(cls, text: str) -> Demographics:
        """What `to_text` made, also that of an earlier release, which kept nothing as written."""
        values = msgspec.json.decode(text)
        written = values.pop() if isinstance(values[-1], list) else []
        return replace(cls(*values), written=tuple(Written(*one) for one in written))

    @property
    def told(self) -> tuple[Written, ...]:
        """Names and address in every way in which they are known."""
        own = (Written(name, form, form) for name in SINGLING if (form := getattr(self, name)))
        return tuple(dict.fromkeys((*self.written, *own)))

    def _shared(self) -> tuple[str | None, ...]:
        """What two records share that are compared, in the order of `BLOCKS`; None where a part of it is empty."""
        heard, birth, phone = sound(self.name or self.roman), self.birth_date, self.phone
        return (
            self.name and birth and f"{self.name}\x1f{birth}",
            heard and birth and f"{heard}\x1f{birth}",
            phone and birth and f"{phone}\x1f{birth[:6]}",
            phone and heard and f"{phone}\x1f{heard}",
            birth and self.region and self.address and f"{birth}\x1f{self.region}\x1f{self.address}",
        )


_PURPOSES = tuple(f"block/{name}" for name in ("name", "sound", "phone", "phone_name", "address"))


def blocks_of(people: Sequence[Demographics], key: VaultKey) -> list[tuple[int | None, ...]]:
    """Keyed columns in the order of `BLOCKS`, 63 bits of a keyed hash each: two records are compared where one of them is equal.

    Name and birth date; its sound and birth date; telephone and month of birth; telephone and sound; birth date, region and address. None where a
    part is not known.
    """
    shared = [person._shared() for person in people]
    asked = ((purpose, "", text) for texts in shared for purpose, text in zip(_PURPOSES, texts, strict=True) if text)
    hashes = key.lookups(asked)
    return [tuple(number_of(next(hashes)) if text else None for text in texts) for texts in shared]


def rarity_of(people: Sequence[Demographics], key: VaultKey) -> list[tuple[int, ...]]:
    """Keyed columns in the order of `SINGLING`: two people are described with the same where one is equal. 0: not known."""
    columns = []
    for name in SINGLING:
        forms = [getattr(person, name) for person in people]
        hashes = iter(hashes_of(name, [form for form in forms if form], key))
        columns.append([next(hashes) if form else 0 for form in forms])
    return list(zip(*columns, strict=True))


def hashes_of(name: str, forms: Iterable[str], key: VaultKey) -> list[int]:
    """63 bits of a keyed hash of each form of one of the fields `SINGLING`."""
    return [number_of(digest) for digest in key.lookups((f"rarity/{name}", "", form) for form in forms)]


def number_of(digest: bytes) -> int:
    """63 bits of a keyed hash: databases know no unsigned numbers."""
    return int.from_bytes(digest[:8], "big") >> 1


def normalise(raw: Mapping[str, str | None]) -> Demographics:
    """One form of what a source wrote.

    Args:
        raw: Fields of `FIELDS`, as far as the feed has them.
    """
    text = dict.fromkeys(FIELDS, "") | {field: _composed(value).strip() for field, value in raw.items() if value}
    names = dict.fromkeys(name for name in (text["name"], text["other_name"], *_joined(text["family"], text["given"])) if name)
    hangul = [(form, name) for name in names if (form := _hangul(name))]
    roman = [(form, name) for name in names if (form := _roman(name))]
    province, city = _place(text["province"]), _place(text["city"])
    line = text["line"]
    address = plain_address(line).removeprefix(province).removeprefix(city) if line else ""
    written = [Written("name", *one) for one in hangul if one[0] != one[1]] + [Written("roman", *one) for one in roman]
    if address:
        written += [Written("address", address, way) for way in dict.fromkeys((line, (raw["line"] or "").strip())) if way != address]
    return Demographics(
        name=hangul[0][0] if hangul else "",
        roman=roman[0][0] if roman else "",
        birth_date=_birth_date(text["birth_date"]),
        sex=_SEX.get(text["sex"].lower(), ""),
        phone=_phone(text["phone"]),
        region=_province(text["province"]) + city,
        address=address,
        written=tuple(written),
    )


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _joined(family: str, given: str) -> list[str]:
    """Family and given name: without space in Hangul, with one in Latin."""
    if not family or not given:
        return []
    return [f"{family}{given}"] if _HANGUL.search(family + given) else [f"{family} {given}"]


def _hangul(text: str) -> str:
    if not _HANGUL.search(text):
        return ""
    name = _NOT_HANGUL.sub("", text)
    return "" if name in _FILLERS or len(name) < 2 else name


def _roman(text: str) -> str:
    if _HANGUL.search(text) or not _LATIN.search(text):
        return ""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower().replace("-", "")
    words = re.findall(r"[a-z]+", plain)
    return "" if not words or set(words) & _FILLERS else " ".join(sorted(words))


def _birth_date(text: str) -> str:
    digits = "".join(_DIGITS.findall(text[:10]))[:8]
    is_day = len(digits) == 8 and "1850" < digits[:4] < "2100" and "01" <= digits[4:6] <= "12" and "01" <= digits[6:] <= "31"
    return digits if is_day else ""


def _phone(text: str) -> str:
    digits = "".join(_DIGITS.findall(text.removeprefix("tel:")))
    if digits.startswith("82"):
        digits = "0" + digits[2:].removeprefix("0")
    return digits if 9 <= len(digits) <= 11 and len(set(digits[-8:])) > 2 else ""


@lru_cache(maxsize=4096)
def _place(text: str) -> str:
    """A province or city: there are few."""
    return plain_address(text)


@lru_cache(maxsize=4096)
def _province(text: str) -> str:
    short = _PROVINCE_ENDS.sub("", text.replace(" ", ""))
    return _OLD_PROVINCES.get(short, short)


def plain_address(text: str) -> str:
    """Words and numbers of an address, without blanks and signs."""
    return _NOT_WORD.sub("", text.lower())
