"""People and families: birth, sex, role, arm, enrolment, death, and the hospitals they attend.

Belongs here: who lives in the country. Does not belong here: illness (`physiology`), names and numbers
(`identities`).
"""

from __future__ import annotations

from datetime import date

import numpy as np

from assets.simulation.country import H12, H13, H14, LARGE, SITES, Country, day_number
from assets.simulation.frame import NEVER, Array, Flags, Frame, Ints, between, draw_rows, pick
from assets.simulation.setting import Setting

PATIENT, FAMILY, VOLUNTEER = range(3)
ARMS = ("patient", "family", "volunteer")
PROBAND, MOTHER, FATHER, SIBLING = range(4)
ROLES = ("proband", "mother", "father", "sibling")

YEAR = 365.25

_ROLES_OF = {
    "volunteer": (PROBAND,),
    "patient": (PROBAND,),
    "patient_mother": (PROBAND, MOTHER),
    "trio": (PROBAND, MOTHER, FATHER),
    "quad": (PROBAND, MOTHER, FATHER, SIBLING),
}
_ALONE = ("volunteer", "patient")
_MIDDLE = day_number(date(2020, 7, 1))
_FIRST_ENROLMENT = day_number(date(2016, 1, 1))
_LAST_ENROLMENT = day_number(date(2026, 5, 31))
_LAST_BIRTH = day_number(date(2025, 6, 30))

_HAZARD, _GROWTH = 2.2e-5, 0.095
"""Gompertz mortality a year, h = a*exp(b*age): about the life tables of Statistics Korea for the 2010s."""
_SEVERE_RATIO = 3.0

_SPLIT_SPAN = 400
"""Days a person must be seen at a hospital before the hospital may lose track and give a second number."""


def make_people(setting: Setting, first: int, count: int) -> Frame:
    """People `first .. first + count` with their families.

    Returns:
        One row a person: `person` (number in the country), `family`, `role`, `arm`, `mother` and `father`
        (number or -1), `birth`, `female`, `foreign`, `enrolled`, `death` (NEVER where alive at the end of the
        horizon), `has_consent`; `attends` and `knows` (people, sites): hospitals attended, hospitals that
        would hear of the death; `split` (people, sites): day from which the hospital uses a second number;
        `main` site; `filler`: h12 has no resident number; `imaged`, `wears`: known to h16 and w11.

    Guarantee: families never cross a chunk; nobody is enrolled before the 30th day of life or after death.
    """
    country, rng = setting.country, setting.stream("people")
    family, role, kind = _households(country, rng, count)
    start = np.flatnonzero(role == PROBAND)[np.cumsum(role == PROBAND) - 1]
    birth = _births(rng, role, kind, start)
    girl = rng.random(count) < 0.5
    female = np.where(role == MOTHER, True, np.where(role == FATHER, False, girl))
    enrolled = between(rng, np.maximum(_FIRST_ENROLMENT, birth + 30), np.full(count, _LAST_ENROLMENT))
    severe = (role == PROBAND) & (kind != "volunteer")
    people = Frame(
        {
            "person": np.arange(first, first + count, dtype=np.int64),
            "family": family + np.int64(first),
            "role": role,
            "arm": np.where(severe, PATIENT, np.where(role == PROBAND, VOLUNTEER, FAMILY)),
            "mother": _parent(role, start, first, wanted=MOTHER),
            "father": _parent(role, start, first, wanted=FATHER),
            "birth": birth,
            "female": female.astype(np.bool_),
            "foreign": rng.random(count) < country.people["foreigner"],
            "enrolled": enrolled,
            "death": _deaths(rng, country, enrolled, age=(enrolled - birth) / YEAR, severe=severe),
            "has_consent": rng.random(count) >= country.people["no_consent"],
        }
    )
    return _attendance(setting, people)


def _households(country: Country, rng: np.random.Generator, count: int) -> tuple[Ints, Ints, Array]:
    """Family number (first member's row), role and kind of household of each of `count` people."""
    names = list(country.families)
    sizes = np.array([len(_ROLES_OF[n]) for n in names])
    drawn = pick(rng, [country.families[n] for n in names], count)
    drawn = drawn[: int(np.searchsorted(np.cumsum(sizes[drawn]), count)) + 1]
    size = sizes[drawn]
    family = np.repeat(np.cumsum(size) - size, size)[:count]
    kind = np.repeat(drawn, size)[:count]
    roles = np.array([_ROLES_OF[n] + (0,) * (len(ROLES) - len(_ROLES_OF[n])) for n in names])
    role = roles[kind, np.arange(count) - family]
    return family.astype(np.int64), role.astype(np.int64), np.array(names)[kind]


def _births(rng: np.random.Generator, role: Ints, kind: Array, start: Ints) -> Ints:
    """Parents are 19-38 years older than the proband, siblings are within eight years.

    Args:
        rng: Draws the ages.
        role: Role of each person.
        kind: Household of each person.
        start: Row of each person's proband.
    """
    count = len(role)
    adult = np.clip(rng.normal(52, 17, count), 19, 88)
    child = rng.uniform(-4.8, 36, count)
    age = np.where(np.isin(kind, _ALONE), adult, child)
    proband = np.minimum(_MIDDLE - (age * YEAR).astype(np.int64), _LAST_BIRTH)[start]
    older = (rng.uniform(19.5, 38, count) * YEAR).astype(np.int64)
    apart = (rng.uniform(1.2, 8, count) * YEAR).astype(np.int64)
    near = np.where(rng.random(count) < 0.5, apart, -apart)
    birth = np.where(role == PROBAND, proband, np.where(role == SIBLING, proband + near, proband - older))
    of_mother = birth[np.minimum(start + 1, count - 1)]
    grown = np.where(role == SIBLING, np.maximum(birth, of_mother + int(18 * YEAR)), birth)
    return np.minimum(grown, _LAST_BIRTH).astype(np.int64)


def _parent(role: Ints, start: Ints, first: int, *, wanted: int) -> Ints:
    """Number of the parent for probands and siblings whose household has one, else -1."""
    position = np.minimum(start + wanted, len(role) - 1)
    found = (role[position] == wanted) & (start[position] == start) & np.isin(role, (PROBAND, SIBLING))
    return np.where(found, position + first, -1).astype(np.int64)


def _deaths(rng: np.random.Generator, country: Country, enrolled: Ints, *, age: Array, severe: Flags) -> Ints:
    """Day of death by Gompertz mortality, given life at enrolment and the age then."""
    ratio = _GROWTH / (_HAZARD * np.where(severe, _SEVERE_RATIO, 1.0))
    reached = np.log(np.exp(_GROWTH * age) - ratio * np.log1p(-rng.random(len(age)))) / _GROWTH
    death = enrolled + 1 + ((reached - age) * YEAR).astype(np.int64)
    return np.where(death > country.end, NEVER, death).astype(np.int64)


def _attendance(setting: Setting, people: Frame) -> Frame:
    """Hospitals of each person; a few have two numbers at one, or a filler for a resident number."""
    country, rng = setting.country, setting.stream("attendance")
    count, sites, at_least_one = len(people), LARGE, setting.chunk == 0
    how_many = 1 + pick(rng, country.people["sites_per_person"], count)
    order = np.argsort(rng.random((count, sites)), axis=1)
    attends = np.zeros((count, sites), dtype=np.bool_)
    np.put_along_axis(attends, order, np.arange(sites)[None, :] < how_many[:, None], axis=1)
    first = np.maximum(people["birth"] + 1, country.start)
    last = np.minimum(people["death"], country.end)
    split = np.full((count, sites), NEVER, dtype=np.int64)
    for site in range(sites):
        usable = attends[:, site] & people["has_consent"] & (last - first > _SPLIT_SPAN)
        chosen = draw_rows(rng, usable, country.people["identity_split"], at_least_one=at_least_one)
        split[chosen, site] = between(rng, first[chosen] + 100, last[chosen] - 100)
    usable = attends[:, H12] & people["has_consent"] & (split == NEVER).all(axis=1)
    filler = np.zeros(count, dtype=np.bool_)
    rate = country.people["filler_resident_number"]
    filler[draw_rows(rng, usable, rate, at_least_one=at_least_one)] = True
    knows = rng.random((count, sites)) < country.people["site_knows_death"]
    np.put_along_axis(knows, order[:, :1], True, axis=1)
    people = people.having(attends=attends, main=order[:, 0], split=split, filler=filler, knows=knows)
    return _small_sites(setting, people, last - first > _SPLIT_SPAN)


def _small_sites(setting: Setting, people: Frame, long_known: Flags) -> Frame:
    """Add the hospitals that see few people, and who is imaged or wears a device.

    Drawn last and from a stream of its own: the large hospitals stay as they are whatever becomes of these.
    """
    shares, rng = setting.country.small_sites, setting.stream("attendance/small")
    everybody = np.ones(len(people), dtype=np.bool_)
    drawn = {name: _chosen(rng, setting, everybody, shares[name]) for name in (*SITES[LARGE:], "imaged", "wears")}
    attends = np.column_stack([people["attends"], *(drawn[site] for site in SITES[LARGE:])])
    knows = np.column_stack([people["knows"], *(drawn[site] for site in SITES[LARGE:])])
    split = np.column_stack([people["split"], np.full((len(people), len(SITES) - LARGE), NEVER, dtype=np.int64)])
    usable = drawn[SITES[H14]] & people["has_consent"] & long_known
    rows = draw_rows(rng, usable, shares["merged"], at_least_one=setting.chunk == 0)
    split[rows, H14] = _middle(setting.country, people)[rows]
    return people.having(attends=attends, knows=knows, split=split, imaged=drawn["imaged"], wears=drawn["wears"])


def _chosen(rng: np.random.Generator, setting: Setting, usable: Flags, share: float) -> Flags:
    """People drawn by share, in the first chunk at least so many that every kind of error finds a record."""
    rows = draw_rows(rng, usable, share, at_least_one=False)
    least = min(int(setting.country.small_sites["at_least"]) * (setting.chunk == 0), int(usable.sum()))
    if len(rows) < least:
        rows = rng.choice(np.flatnonzero(usable), least, replace=False)
    found = np.zeros(len(usable), dtype=np.bool_)
    found[rows] = True
    return found


def _middle(country: Country, people: Frame) -> Ints:
    """The middle of the time in which a person may be seen."""
    return np.asarray((np.maximum(people["birth"] + 1, country.start) + np.minimum(people["death"], country.end)) // 2, dtype=np.int64)


def crosswalk_needs(people: Frame) -> Ints:
    """Numbers that only the consent service can tie to the person: all of h13, w11 and h16, fillers of h12."""
    omop = people["attends"][:, H13].astype(np.int64) + (people["split"][:, H13] != NEVER)
    return np.where(people["has_consent"], omop + people["filler"] + people["wears"] + people["imaged"], 0).astype(np.int64)
