"""The same people as several hospitals describe them, with what goes wrong: for measuring linkage at a size that no rendered country has.

Belongs here: households, names as common as in Korea, twins, slips, moves, shared telephones, traps of strangers who look alike. Does not belong here:
wire formats (`render_*`), comparing (`assets/privacy/linkage`).

Shares of family names: census 2015 (Statistics Korea). Given names are drawn from syllables by Zipf, which makes the commonest full name about as common
as in the register. Rates of errors are assumptions on the high side of what linkage studies report for hospital records; they are `RATES`.
Women keep their family name when they marry, so no name changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Texts = npt.NDArray[np.object_]
Ints = npt.NDArray[np.int64]

HOSPITALS = ("h1", "h2", "h3")
ATTENDS = (0.8, 0.7, 0.6)
RATES: Mapping[str, float] = {
    "twin": 0.03, "shares_syllable": 0.5, "same_sex_twin": 0.7, "child": 0.16, "no_resident_number": 0.2, "name_slip": 0.004, "roman_only": 0.015,
    "roman_too": 0.2, "birth_slip": 0.003, "birth_missing": 0.002, "sex_slip": 0.003, "phone_changed": 0.05, "phone_missing": 0.02, "phone_slip": 0.004,
    "moved": 0.07, "moved_within_region": 0.5, "address_missing": 0.02, "address_slip": 0.01, "double": 0.001, "double_in_region": 0.02,
}  # fmt: skip
"""`double`: a stranger of the same name, birthday and sex, planted beside those that chance brings."""
SLIPS = frozenset({
    "name_slip", "birth_slip", "birth_missing", "sex_slip", "phone_changed", "phone_missing", "phone_slip", "moved", "address_missing", "address_slip",
})  # fmt: skip
"""Those that `errors` multiplies: what goes wrong in a record, not who people are."""

_FAMILY = "김이박최정강조윤장임한오서신권황안송류홍전고문양손배백허남심노하곽성차주우구민유나진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모"
_FAMILY_SHARE = (215, 147, 84, 47, 43, 24, 21, 21, 20, 17, 15, 15, 15, 15, 14, 13, 14, 14, 13, 11, 11, 9, 9, 9, 9, 8, 8, 7, 6, 5)
_FIRST = "민서지수현정영재은준성미승경동상유진혜윤하예도주태종병광창용기인선소희순명옥복춘금연세시우다나보아가채규근대덕만문범봉석신원익일장제찬철충택필한해형호홍환효훈"
_SECOND = "준연우현민아영희수진호은숙자경미정훈서윤지원석철환식규섭혁빈율온찬길용권구균근기남덕도동란례린림명모문별복봉분빛상선설성세송승신실심안애업열옥완왕욱운웅월유을의이익인일임"
_ROMAN_FAMILY = {
    "김": "Kim",
    "이": "Lee",
    "박": "Park",
    "최": "Choi",
    "정": "Jung",
    "강": "Kang",
    "조": "Cho",
    "윤": "Yoon",
    "장": "Jang",
    "임": "Lim",
}


@dataclass(frozen=True)
class Records:
    """What hospitals hold. One row a record: person of truth, hospital, whether it has the resident number, fields of `normalise` but the numbers."""

    person: Ints
    hospital: Ints
    has_number: npt.NDArray[np.bool_]
    name: Texts
    roman: Texts
    birth_date: Texts
    sex: Texts
    phone: Texts
    region: Ints
    address: Texts

    def __len__(self) -> int:
        return len(self.person)


def overlap(people: int, *, seed: int, errors: float = 1.0) -> Records:
    """Records of `people` people at the hospitals of `HOSPITALS`; everybody is at one of them at least.

    Args:
        people: How many.
        seed: The same seed gives the same records.
        errors: Factor on the rates of `SLIPS`.
    """
    rng = np.random.default_rng(seed)
    truth = _people(rng, people)
    attends = rng.random((people, len(HOSPITALS))) < ATTENDS
    nowhere = np.flatnonzero(~attends.any(axis=1))
    attends[nowhere, rng.integers(0, len(HOSPITALS), len(nowhere))] = True
    person, hospital = (part.astype(np.int64) for part in np.nonzero(attends))
    return _described(rng, truth, person, hospital, errors)


@dataclass
class _People:
    family: Ints
    given: Ints
    birth: Ints
    female: npt.NDArray[np.bool_]
    phone: Ints
    region: Ints
    house: Ints

    @property
    def second(self) -> Ints:
        return self.given % len(_SECOND)


def _people(rng: np.random.Generator, count: int) -> _People:
    """Households of one to five; children have the telephone of a parent; twins the birthday."""
    home = np.sort(rng.integers(0, max(count * 2 // 5, 1), count))
    first_of = np.r_[0, np.flatnonzero(np.diff(home)) + 1]
    head = np.repeat(first_of, np.diff(np.r_[first_of, count]))
    family = rng.choice(len(_FAMILY), count, p=_shares(_FAMILY_SHARE, len(_FAMILY)))
    given = rng.choice(len(_FIRST), count, p=_zipf(len(_FIRST))) * len(_SECOND) + rng.choice(len(_SECOND), count, p=_zipf(len(_SECOND)))
    birth = rng.integers(-15_000, 20_000, count)
    child = (head != np.arange(count)) & (rng.random(count) < RATES["child"] * 2)
    birth[child] = rng.integers(13_500, 20_400, child.sum())
    phone = rng.integers(0, 100_000_000, count)
    phone[child] = phone[head[child]]
    family[child] = family[head[child]]
    female = rng.random(count) < 0.5
    people = _People(family, given, birth, female, phone, rng.integers(0, 250, count)[head], rng.integers(0, 40_000_000, count)[head])
    _make_twins(rng, people)
    _make_doubles(rng, people)
    return people


def _make_twins(rng: np.random.Generator, people: _People) -> None:
    """Some are born on the day of the person before them, in the same family; often their names share a syllable."""
    count = len(people.birth)
    twins = np.flatnonzero(rng.random(count - 1) < RATES["twin"] / 2) + 1
    twins = twins[np.diff(np.r_[-2, twins]) > 1]
    for column in (people.family, people.birth, people.phone, people.region, people.house):
        column[twins] = column[twins - 1]
    shares = rng.random(len(twins)) < RATES["shares_syllable"]
    first = people.given[twins - 1] // len(_SECOND)
    people.given[twins[shares]] = first[shares] * len(_SECOND) + people.second[twins[shares]]
    clash = people.given[twins] == people.given[twins - 1]
    people.given[twins[clash]] = (people.given[twins[clash]] + 1) % (len(_FIRST) * len(_SECOND))
    same = rng.random(len(twins)) < RATES["same_sex_twin"]
    people.female[twins[same]] = people.female[twins[same] - 1]


def _make_doubles(rng: np.random.Generator, people: _People) -> None:
    """Strangers of one name, birthday and sex; some in one region."""
    count = len(people.birth)
    doubles = np.unique(rng.integers(0, count, int(count * RATES["double"])))
    models = rng.integers(0, count, len(doubles))
    for column in (people.family, people.given, people.birth, people.female):
        column[doubles] = column[models]
    near = rng.random(len(doubles)) < RATES["double_in_region"]
    people.region[doubles[near]] = people.region[models[near]]


def _described(rng: np.random.Generator, people: _People, person: Ints, hospital: Ints, errors: float) -> Records:
    """What each hospital wrote."""
    n = len(person)

    def happens(what: str) -> npt.NDArray[np.bool_]:
        return np.asarray(rng.random(n) < RATES[what] * (errors if what in SLIPS else 1.0))

    family, given, birth = people.family[person], people.given[person], people.birth[person].copy()
    slip = happens("name_slip")
    shown = given.copy()
    shown[slip] = given[slip] // len(_SECOND) * len(_SECOND) + (people.second[person][slip] + 1) % len(_SECOND)
    name = _names(family, shown)
    name[slip] = [_slipped(text, int(k)) for text, k in zip(_names(family[slip], given[slip]), rng.integers(0, 6, slip.sum()), strict=True)]
    alone = happens("roman_only")
    roman = np.where(alone | happens("roman_too"), _roman_names(family, given), "")
    name[alone] = ""
    female = people.female[person] ^ happens("sex_slip")
    phone = np.where(happens("phone_changed"), rng.integers(0, 100_000_000, n), people.phone[person])
    slip = happens("phone_slip")
    phone[slip] = phone[slip] // 10 * 10 + (phone[slip] + 1) % 10
    moved = happens("moved")
    region = np.where(moved & ~happens("moved_within_region"), rng.integers(0, 250, n), people.region[person])
    house = np.where(moved, rng.integers(0, 40_000_000, n), people.house[person])
    address = np.char.add("로", house.astype(str)).astype(object)
    slip = happens("address_slip")
    address[slip] = [text[:-1] for text in address[slip]]
    address[happens("address_missing")] = ""
    return Records(
        person,
        hospital,
        ~happens("no_resident_number"),
        name,
        roman.astype(object),
        _dates(rng, birth, happens("birth_slip"), happens("birth_missing")),
        np.where(female, "F", "M").astype(object),
        np.where(happens("phone_missing"), "", np.char.add("010", np.char.zfill(phone.astype(str), 8))).astype(object),
        region,
        address,
    )


def _names(family: Ints, given: Ints) -> Texts:
    families, firsts, seconds = (np.array(list(text), dtype=object) for text in (_FAMILY, _FIRST, _SECOND))
    return np.asarray(families[family] + firsts[given // len(_SECOND)] + seconds[given % len(_SECOND)], dtype=object)


def _roman_names(family: Ints, given: Ints) -> Texts:
    from assets.privacy.hangul import romanise

    families = np.array([_ROMAN_FAMILY.get(c, romanise(c)).lower() for c in _FAMILY], dtype=object)
    firsts, seconds = (np.array([romanise(c) for c in text], dtype=object) for text in (_FIRST, _SECOND))
    made = zip(families[family], firsts[given // len(_SECOND)] + seconds[given % len(_SECOND)], strict=True)
    return np.array([" ".join(sorted(words)) for words in made], dtype=object)


def _slipped(name: str, kind: int) -> str:
    """One letter of the last syllable is another."""
    code = ord(name[-1]) - 0xAC00
    if kind % 2:
        code = code // 28 * 28 + (4 if code % 28 != 4 else 21)
    else:
        initial, vowel, final = code // 588, code // 28 % 21, code % 28
        code = (initial * 21 + (vowel + 4) % 21) * 28 + final
    return name[:-1] + chr(0xAC00 + code)


def _dates(rng: np.random.Generator, days: Ints, slip: npt.NDArray[np.bool_], missing: npt.NDArray[np.bool_]) -> Texts:
    texts = np.char.replace(days.astype("datetime64[D]").astype(str), "-", "").astype(object)
    texts[slip] = [
        t[:7] + str((int(t[7]) + 1) % 8 + 1) if k else t[:3] + str((int(t[3]) + 1) % 10) + t[4:]
        for t, k in zip(texts[slip], rng.random(slip.sum()) < 0.7, strict=True)
    ]
    texts[missing] = ""
    return np.asarray(texts, dtype=object)


def _shares(known: tuple[int, ...], count: int) -> npt.NDArray[np.float64]:
    shares = np.array([*known, *([2] * (count - len(known)))], dtype=np.float64)
    return np.asarray(shares / shares.sum())


def _zipf(count: int) -> npt.NDArray[np.float64]:
    shares = 1 / (np.arange(count) + 8.0)
    return np.asarray(shares / shares.sum())
