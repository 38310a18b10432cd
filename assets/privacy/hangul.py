"""Korean names as letters and as sounds, so that one wrong jamo or another romanisation is a small difference.

Belongs here: taking syllables apart, folding romanisations. Does not belong here: what a difference means (`linkage_model`).
Sources: Unicode 15, section 3.12 (Hangul syllable decomposition); Revised Romanisation of Korean (Ministry of Culture, notice 2000-8).
"""

from __future__ import annotations

import re
from functools import lru_cache

_FIRST, _LAST = 0xAC00, 0xD7A3
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
_SIGNS = {letter: chr(ord("A") + n) for n, letter in enumerate(sorted({*_INITIALS, *_VOWELS, *_FINALS.strip()}))}
_ROMAN_INITIALS = ("g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h")
_ROMAN_VOWELS = (
    "a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i",
)  # fmt: skip
_ROMAN_FINALS = (
    "", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t", "p", "t",
)  # fmt: skip
_FAMILY = {
    "lee": "i", "yi": "i", "rhee": "i", "ree": "i", "park": "bak", "bark": "bak", "choi": "choe", "oh": "o", "noh": "no", "roh": "no", "woo": "u",
    "yoo": "yu", "ryu": "yu", "yoon": "yun", "moon": "mun", "joo": "ju", "shin": "sin", "hur": "heo", "huh": "heo", "ahn": "an", "lim": "im",
    "rim": "im", "young": "yeong", "hyun": "hyeon", "kyung": "gyeong", "jung": "jeong", "chung": "jeong", "sun": "seon", "sung": "seong", "hee": "hui",
}  # fmt: skip
"""Spellings of whole words that follow no rule and are older than it."""
_FOLDS = tuple(
    (re.compile(pattern), to)
    for pattern, to in (
        ("kk|k", "g"), ("tt|t", "d"), ("pp|p", "b"), ("jj|ch", "j"), ("ss", "s"), ("sh", "s"), ("r", "l"), ("ll", "l"),
        ("yeo|you|yu", "U"), ("eo|oo|ou|woo|wo|eu|u", "u"), ("U", "yu"), ("yae|ye|ae|oe|we|wae", "e"), ("ui|ee|wi|yi", "i"), ("(?<=[a-z])h", ""),
        (r"(.)\1", r"\1"),
    )
)  # fmt: skip


def jamo(text: str) -> str:
    """Syllables taken apart, one ASCII sign a letter: DuckDB counts edits in bytes, and a jamo has three. What is no syllable is left out."""
    return "".join(_letters(c) for c in text)


@lru_cache(maxsize=12_000)
def _letters(character: str) -> str:
    code = ord(character)
    if not _FIRST <= code <= _LAST:
        return ""
    rest, final = divmod(code - _FIRST, 28)
    letters = _INITIALS[rest // 21] + _VOWELS[rest % 21] + _FINALS[final].strip()
    return "".join(_SIGNS[letter] for letter in letters)


@lru_cache(maxsize=12_000)
def _syllable(character: str) -> str:
    code = ord(character)
    if not _FIRST <= code <= _LAST:
        return ""
    rest, final = divmod(code - _FIRST, 28)
    return _ROMAN_INITIALS[rest // 21] + _ROMAN_VOWELS[rest % 21] + _ROMAN_FINALS[final]


def romanise(text: str) -> str:
    """Revised romanisation, syllable by syllable."""
    return "".join(map(_syllable, text))


@lru_cache(maxsize=200_000)
def sound(text: str) -> str:
    """A name folded so that its usual spellings in either script come to the same: the letters of a plain romanisation, sorted.

    Sorted, because which word is the family name, and whether the given name is one word or two, differs from source to source. Many names
    share one sound: it finds candidates and is weak evidence.

    Args:
        text: Hangul without spaces, or words of Latin letters.
    """
    words = text.split()
    if text and _FIRST <= ord(text[0]) <= _LAST:
        family = 2 if text[:2] in _LONG_FAMILY and len(text) > 2 else 1
        words = ["".join(map(_syllable, text[:family])), "".join(map(_syllable, text[family:]))]
    return "".join(sorted("".join(_folded(word) for word in words)))


def _folded(word: str) -> str:
    word = _FAMILY.get(word, word)
    for pattern, to in _FOLDS:
        word = pattern.sub(to, word)
    return word


_LONG_FAMILY = frozenset({"남궁", "제갈", "황보", "선우", "독고", "사공", "서문", "동방", "어금", "망절"})
