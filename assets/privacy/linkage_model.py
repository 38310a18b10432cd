"""When are two descriptions one person? Levels of agreement, their weights, and what follows from them.

Belongs here: the numbers, in one place, and the rules that no weight overrides. Does not belong here: running the comparison
(`linkage_process`), people and their numbers (`linkage`).

Model of Fellegi and Sunter (JASA 64, 1969). For each level, m is the share of true pairs that are on it and u that of pairs of strangers; the
weight of a pair is log2(prior) + sum of log2(m / u). They are fixed and not estimated from the lake: a person must be the same person whatever
else was delivered before, and an increment must come to what a full comparison comes to. `bench/linkage.py` measures what they are worth.

m: 1 to 2 % of Korean names and birth dates in hospital records differ by a slip; a tenth of people move in a year and change their number less
often (Statistics Korea, internal migration). u of a birth date: 1 in 20,000 days; of a telephone or a full address: 1 in a million; of a
name: two of one birth year have the same given name in 1 of 500 cases, and 55 % of people share five family names (census 2015, Statistics Korea).
"""

from __future__ import annotations

from dataclasses import dataclass

PRIOR = 1e-6
"""Share of true pairs among all pairs of records that could be: three hospitals that share a million people."""
MERGE_BITS = 20.0
"""From here a pair is merged, if `MERGE_RULE` holds: 1 stranger in 2^20 would be as much alike if the fields were independent. They are not within a
household, hence the rule."""
REVIEW_BITS = 4.0
"""From here a data steward is asked."""


@dataclass(frozen=True)
class Level:
    """One level of agreement: the first whose condition holds counts. An empty condition: everything else."""

    name: str
    condition: str
    m: float
    u: float


@dataclass(frozen=True)
class Field:
    """One comparison. `missing`: nothing can be said, weight 0."""

    name: str
    missing: str
    levels: tuple[Level, ...]


_HANGUL = "{l}name <> '' and {r}name <> ''"
_ROMAN = "{l}roman <> '' and {r}roman <> ''"
FIELDS = (
    Field("name", "({l}name = '' and {l}roman = '') or ({r}name = '' and {r}roman = '')", (
        Level("same_rare_family", f"{_HANGUL} and {{l}}name = {{r}}name and not regexp_matches({{l}}name, '^[김이박최정]')", 0.41, 1e-5),
        Level("same", f"{_HANGUL} and {{l}}name = {{r}}name", 0.495, 1.6e-4),
        Level("same_roman", f"{_ROMAN} and {{l}}roman = {{r}}roman", 0.02, 2e-4),
        Level("one_letter", f"{_HANGUL} and length({{l}}jamo) >= 6 and damerau_levenshtein({{l}}jamo, {{r}}jamo) = 1", 0.012, 4e-4),
        Level("other_script", "({l}name = '' or {r}name = '') and ({l}roman = '' or {r}roman = '') and {l}sound = {r}sound", 0.045, 2.5e-5),
        Level("same_sound", "{l}sound = {r}sound", 0.01, 5e-4),
        Level("two_letters", f"{_HANGUL} and length({{l}}jamo) >= 6 and damerau_levenshtein({{l}}jamo, {{r}}jamo) = 2", 0.004, 4e-3),
        Level("differs", "", 0.004, 0.99),
    )),
    Field("birth_date", "{l}birth_date = '' or {r}birth_date = ''", (
        Level("same", "{l}birth_date = {r}birth_date", 0.98, 5e-5),
        Level("one_digit", "damerau_levenshtein({l}birth_date, {r}birth_date) = 1", 0.015, 1e-3),
        Level("differs", "", 0.005, 0.99895),
    )),
    Field("sex", "{l}sex = '' or {r}sex = ''", (
        Level("same", "{l}sex = {r}sex", 0.995, 0.5),
        Level("differs", "", 0.005, 0.5),
    )),
    Field("phone", "{l}phone = '' or {r}phone = ''", (
        Level("same", "{l}phone = {r}phone", 0.85, 1e-6),
        Level("one_digit", "damerau_levenshtein({l}phone, {r}phone) = 1", 0.01, 5e-6),
        Level("differs", "", 0.14, 0.999994),
    )),
    Field("address", "{l}region = '' or {r}region = ''", (
        Level("same", "{l}region = {r}region and {l}address <> '' and {l}address = {r}address", 0.8, 1e-6),
        Level("nearly", "{l}region = {r}region and length({l}address) >= 6 and levenshtein({l}address, {r}address) <= 2", 0.02, 2e-6),
        Level("same_region", "{l}region = {r}region", 0.05, 0.01),
        Level("differs", "", 0.13, 0.989997),
    )),
)  # fmt: skip

MERGE_RULE = """
    (birth_date = 'same' and name in ('same', 'same_rare_family') and (phone in ('same', 'one_digit') or address in ('same', 'nearly')))
    or (
        birth_date = 'same' and name in ('same_roman', 'other_script') and sex <> 'differs'
        and (phone in ('same', 'one_digit') or address in ('same', 'nearly'))
    )
    or (
        birth_date in ('one_digit', 'missing') and name in ('same', 'same_rare_family') and sex <> 'differs' and phone in ('same', 'missing')
        and address in ('same', 'nearly') and not (birth_date = 'missing' and phone = 'missing')
    )
"""
"""Beside `MERGE_BITS`: name and birth date agree, and the home or the telephone does too. Twins agree in all but the given name, so no merge rests on a similar name:
one letter may be a slip or a sister. Another script is no similar name: it has to sound the same."""
REGION_BITS = 8.0
REGION_RULE = """
    birth_date = 'same' and sex = 'same' and address = 'same_region'
    and (name = 'same_rare_family' and phone in ('differs', 'missing') or name = 'same' and phone = 'missing')
"""
"""Whoever moved within the region and has another telephone: from fewer bits, where chance brings hardly a stranger of the same name and birthday to one
district. Per million people in 250 districts there are about 3 such pairs of strangers, nearly all with a common family name and two telephones, and
those are asked about."""
REVIEW_RULE = "name <> 'differs' and not (name = 'two_letters' and sex = 'differs')"
"""What is never proposed, whatever the weight: people of one household under other names."""


def level_names() -> dict[str, dict[int, str]]:
    """Field -> value of splink's gamma column -> level."""
    return {f.name: {-1: "missing", **{len(f.levels) - 1 - i: level.name for i, level in enumerate(f.levels)}} for f in FIELDS}
