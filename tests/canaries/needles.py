"""Canaries: invented identifiers that stand nowhere else, so that one byte string of them in the wrong place is a leak.

Belongs here: making them, by a seed, and knowing how each may be written. Does not belong here: where they are planted (`plant`), searching (`scan`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

STRUCTURED = ("resident number", "resident number without dash", "phone", "phone without dash", "e-mail", "address", "free text")
"""Kinds that can be told from a code by their shape."""
SHORT = STRUCTURED[:-1]
KINDS = ("name", "romanised name", "record number", *STRUCTURED)

_SYLLABLES = [c for c in map(chr, range(0xAC00, 0xD7A4)) if len(c.encode("euc_kr", errors="ignore")) == 2]
_FAMILIES = ("남궁", "황보", "제갈", "선우", "독고")
_ONSETS = ("gg", "kw", "ch", "byeo", "jj", "hw", "tt", "ssya", "pp", "ny")
_CODAS = ("wal", "yung", "oem", "eub", "wik", "aet", "oj", "yeum")


@dataclass(frozen=True)
class Canary:
    """One planted identifier.

    Attributes:
        kind: One of `KINDS`.
        text: As it is planted.
        needles: Strings any of which betrays it; at least six bytes in every encoding.
        place: Where it was planted.
    """

    kind: str
    text: str
    needles: tuple[str, ...]
    place: str


class Flock:
    """Makes canaries and remembers them. The same seed and calls give the same canaries."""

    def __init__(self, seed: int, every: int = 1) -> None:
        """`every`: of the places where something else belongs, every so many-th gets one."""
        self.every = every
        self._random = random.Random(seed)
        self._used: set[str] = set()
        self._standing_for: dict[tuple[str, str], str] = {}
        self._turn = 0
        self.canaries: list[Canary] = []

    def any(self, place: str, kinds: tuple[str, ...] = KINDS) -> str:
        """A canary of the next kind in turn."""
        self._turn += 1
        return self.one(kinds[self._turn % len(kinds)], place)

    def one(self, kind: str, place: str) -> str:
        """A canary of a kind."""
        text, *needles = _MAKERS[kind](self)
        self.canaries.append(Canary(kind, text, tuple(needles), place))
        return text

    def instead_of(self, kind: str, old: str, place: str) -> str:
        """The canary that takes the place of a true identifier: the same one wherever that stands."""
        if (kind, old) not in self._standing_for:
            self._standing_for[kind, old] = self.one(kind, place)
        return self._standing_for[kind, old]

    def needles(self) -> Mapping[str, Canary]:
        """Every string that betrays a canary."""
        return {needle: canary for canary in self.canaries for needle in canary.needles}

    def syllables(self, count: int) -> str:
        """Korean letters that nobody is called, new each time."""
        return self._new("".join(self._random.choice(_SYLLABLES) for _ in range(count)) for _ in range(10**6))

    def romanised(self) -> str:
        """The like in Latin letters."""
        choose = self._random.choice
        return self._new("".join(choose(_ONSETS) + choose(_CODAS) for _ in range(3)).capitalize() for _ in range(10**6))

    def digits(self, count: int) -> str:
        """Digits, new each time."""
        return self._new(f"{self._random.randrange(10**count):0{count}}" for _ in range(10**6))

    def birth(self) -> tuple[str, int]:
        """Six digits of a birth date and the digit of its century."""
        year = self._random.randrange(1930, 2016)
        day = f"{year % 100:02}{self._random.randrange(1, 13):02}{self._random.randrange(1, 29):02}"
        return day, self._random.choice((1, 2)) + (2 if year >= 2000 else 0)

    def _new(self, candidates: Iterator[str]) -> str:
        found = next(c for c in candidates if c not in self._used)
        self._used.add(found)
        return found

    def choose(self, options: tuple[str, ...]) -> str:
        """One of them."""
        return self._random.choice(options)


def _name(flock: Flock) -> tuple[str, ...]:
    given = flock.syllables(3)
    return flock.choose(_FAMILIES) + given, given


def _romanised(flock: Flock) -> tuple[str, ...]:
    given = flock.romanised()
    return f"{flock.choose(('Namgung', 'Hwangbo', 'Jegal'))} {given}", given, given.upper(), given.lower()


def _resident(flock: Flock) -> tuple[str, ...]:
    birth, century = flock.birth()
    rest = f"{century}{flock.digits(6)}"
    return f"{birth}-{rest}", f"{birth}-{rest}", f"{birth}{rest}"


def _without_dash(flock: Flock) -> tuple[str, ...]:
    """None of 1988 that could as well be the number of a medicine: those pass as codes."""
    dashed = next(d for d, *_ in (_resident(flock) for _ in range(1000)) if not d.startswith("880"))
    return dashed.replace("-", ""), dashed, dashed.replace("-", "")


def _phone(flock: Flock) -> tuple[str, ...]:
    number = flock.digits(8)
    dashed = f"010-{number[:4]}-{number[4:]}"
    return dashed, dashed, f"010{number}", f"10-{number[:4]}-{number[4:]}", f"+8210{number}"


def _phone_without_dash(flock: Flock) -> tuple[str, ...]:
    dashed, *needles = _phone(flock)
    return dashed.replace("-", ""), *needles


def _email(flock: Flock) -> tuple[str, ...]:
    who = flock.romanised().lower()
    return f"{who}@canary.example", who


def _address(flock: Flock) -> tuple[str, ...]:
    road = flock.syllables(3)
    return f"전라남도 신안군 {road}로12길 {flock.choose(('3', '17', '204-1'))}", road


def _record_number(flock: Flock) -> tuple[str, ...]:
    number = f"MR{flock.digits(11)}"
    return number, number, number.lower()


def _free_text(flock: Flock) -> tuple[str, ...]:
    rare = flock.syllables(3)
    return f"환자는 {rare} 섬에서 혼자 배를 타며 딸이 {flock.choose(('둘', '셋'))} 있다고 함", rare


_MAKERS = {
    "name": _name, "romanised name": _romanised, "resident number": _resident, "resident number without dash": _without_dash, "phone": _phone,
    "phone without dash": _phone_without_dash, "e-mail": _email, "address": _address, "record number": _record_number, "free text": _free_text,
}  # fmt: skip
