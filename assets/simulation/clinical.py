"""Visits and what is recorded at them: diagnoses, prescriptions, procedures, results.

Belongs here: true events, each inside its person's life and the horizon. Does not belong here: planted errors
(`errors`), hospital codes and formats (the renderers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assets.simulation.country import H12, H14, SITES
from assets.simulation.frame import NEVER, Array, Flags, Floats, Frame, Ints, between, pick
from assets.simulation.physiology import measured_values, true_egfr
from assets.simulation.population import YEAR
from assets.simulation.setting import Setting

OUTPATIENT, INPATIENT, EMERGENCY = range(3)
DEPARTMENTS = ("IM", "EN", "NP", "CV", "NE", "OS", "FM", "EM")
"""Departments of every hospital: internal medicine, endocrinology, nephrology, cardiology, neurology,
orthopaedics, family medicine, emergency."""

DAY_MINUTES = 1440
_DOCTORS = 40


@dataclass(frozen=True)
class Events:
    """True events of one chunk.

    In every frame `owner` is the person's row in the chunk; in all but `visit`, `visit` is the visit's row.
    """

    visit: Frame
    condition: Frame
    drug: Frame
    procedure: Frame
    lab: Frame
    vaccination: Frame
    allergy: Frame


@dataclass(frozen=True)
class _Seen:
    """Visits, and at each of them the person's state."""

    setting: Setting
    people: Frame
    course: Frame
    visit: Frame

    @property
    def owner(self) -> Array:
        return self.visit["owner"]

    @property
    def day(self) -> Array:
        return self.visit["start"] // DAY_MINUTES

    def since(self, name: str) -> Flags:
        """Visits at which the named state holds."""
        return np.asarray(self.day >= self.course[name][self.owner], dtype=np.bool_)

    def egfr(self, rows: Array) -> Floats:
        """True filtration at some of the visits."""
        owner = self.owner[rows]
        return true_egfr(self.people.take(owner), self.course.take(owner), self.day[rows])

    def recorded(self, row: Array) -> Frame:
        """Records at the given visits: what each takes over from its visit."""
        taken = {name: self.visit[name][row] for name in ("owner", "site", "number", "doctor")}
        return Frame({"id": self.setting.ids(len(row)), "visit": row.astype(np.int64), **taken})


def make_events(setting: Setting, people: Frame, course: Frame) -> Events:
    """All events of the chunk's people.

    Guarantee: birth < event <= death, and inside the horizon. Minutes are Korean wall clock since 1970-01-01
    00:00.
    """
    seen = _Seen(setting, people, course, _visits(setting, people, course))
    condition = _conditions(seen)
    drug, procedure = _drugs(seen, condition), _procedures(seen)
    return Events(seen.visit, condition, drug, procedure, _labs(seen), _vaccinations(seen), _allergies(seen))


def _visits(setting: Setting, people: Frame, course: Frame) -> Frame:
    """Visits of every person at every hospital attended, in order of person and time."""
    country, rng = setting.country, setting.stream("visits")
    owner, day = _visit_days(setting, rng, people, course)
    last = np.minimum(people["death"], country.end)[owner]
    often, count = country.visits, len(day)
    ordinary = 1 - often["inpatient"] - often["emergency"]
    kind = pick(rng, [ordinary, often["inpatient"], often["emergency"]], count)
    clock = np.where(kind == EMERGENCY, rng.integers(0, DAY_MINUTES, count), rng.integers(510, 1020, count))
    stay = np.where(kind == INPATIENT, rng.integers(1, 14, count), 0)
    start = day * DAY_MINUTES + clock
    discharge = np.minimum(day + stay, last) * DAY_MINUTES + 1020
    end = np.where(kind == INPATIENT, discharge, start + rng.integers(15, 180, count))
    end = np.maximum(np.minimum(end, (last + 1) * DAY_MINUTES - 1), start)
    site = _sites(setting, rng, people, owner)
    order = np.lexsort((start, owner))
    visit = Frame({"owner": owner, "site": site, "start": start, "end": end, "kind": kind}).take(order)
    owner, site = visit["owner"], visit["site"]
    second_number = visit["start"] // DAY_MINUTES >= people["split"][owner, site]
    ward = rng.integers(0, len(DEPARTMENTS) - 1, count)
    return visit.having(
        department=np.where(visit["kind"] == EMERGENCY, DEPARTMENTS.index("EM"), ward),
        doctor=rng.integers(0, _DOCTORS, count),
        id=setting.ids(count),
        number=second_number.astype(np.int64),
    )


def _visit_days(setting: Setting, rng: np.random.Generator, people: Frame, course: Frame) -> tuple[Ints, Ints]:
    """Person and day of each visit: a base rate, and more while a disease lasts."""
    country = setting.country
    first = np.maximum(country.start, people["birth"] + 1)
    last = np.minimum(people["death"], country.end)
    rare = np.where(people["arm"] == 0, first, NEVER)
    owners, days = [], []
    for name, since in (("base", first), ("t2dm", course["t2dm"]), ("ckd", course["ckd"]), ("rare", rare)):
        low = np.maximum(since, first)
        years = np.clip((last - low + 1) / YEAR, 0, None)
        owner = np.repeat(np.arange(len(people)), rng.poisson(country.visits[name] * years))
        owners.append(owner)
        days.append(between(rng, low[owner], last[owner]))
    return np.concatenate(owners), np.concatenate(days)


def _sites(setting: Setting, rng: np.random.Generator, people: Frame, owner: Ints) -> Ints:
    """Hospital of each visit: the main one or one of the person's others."""
    main_share = setting.country.people["main_site"]
    attended = people["attends"].sum(axis=1)
    elsewhere = np.where(attended > 1, (1 - main_share) / np.maximum(attended - 1, 1), 0.0)
    weight = people["attends"] * elsewhere[:, None]
    weight[np.arange(len(people)), people["main"]] = np.where(attended == 1, 1.0, main_share)
    limits = np.cumsum(weight, axis=1)[owner]
    drawn = rng.random(len(owner))[:, None]
    found = np.minimum((drawn >= limits).sum(axis=1), len(SITES) - 1)
    return np.where(people["attends"][owner, found], found, people["main"][owner]).astype(np.int64)


def _conditions(seen: _Seen) -> Frame:
    """Diagnoses of each visit: active conditions by chance, an acute one where none was coded."""
    rng, codes, rates = (
        seen.setting.stream("conditions"),
        seen.setting.codes.conditions,
        seen.setting.country.records,
    )
    owner, day, count = seen.owner, seen.day, len(seen.visit)
    coded = np.zeros((count, len(codes)), dtype=np.bool_)
    for kind in ("chronic", "rare"):
        for number in codes.kind(kind):
            holds = day >= seen.course["onset"][owner, number]
            coded[:, number] = holds & (rng.random(count) < rates[kind])
    diabetic = seen.since("t2dm") & (rng.random(count) < rates["diabetes"])
    renal = seen.since("ckd") & (rng.random(count) < rates["kidney"])
    diabetes, kidney = _diabetes_code(seen, rng), _kidney_code(seen, rng)
    for rows, code in ((np.flatnonzero(diabetic), diabetes), (np.flatnonzero(renal), kidney)):
        coded[rows, code[rows]] = True
    acute = np.array(codes.kind("acute"))
    drawn = acute[pick(rng, [codes["prevalence"][n] for n in acute], count)]
    rows = np.flatnonzero(~coded.any(axis=1) | (rng.random(count) < rates["second_acute"]))
    coded[rows, drawn[rows]] = True
    row, code = np.nonzero(coded)
    first = np.r_[True, row[1:] != row[:-1]]
    return seen.recorded(row).having(code=code.astype(np.int64), day=day[row], primary=first)


def _diabetes_code(seen: _Seen, rng: np.random.Generator) -> Ints:
    """E11.9, or one of the complications the person has by then."""
    kidney = np.maximum(seen.course["ckd"], seen.course["t2dm"])[seen.owner]
    weights = [
        np.ones(len(seen.visit)),
        1.5 * (seen.day >= kidney),
        1.0 * seen.since("eye"),
        1.0 * seen.since("nerve"),
    ]
    limits = np.cumsum(np.stack(weights, axis=1), axis=1)
    drawn = rng.random(len(seen.visit)) * limits[:, -1]
    which = (drawn[:, None] >= limits).sum(axis=1)
    keys = ("t2dm", "t2dm_kidney", "t2dm_eye", "t2dm_nerve")
    return np.asarray(np.array([seen.setting.codes.conditions.number(k) for k in keys])[which], dtype=np.int64)


def _kidney_code(seen: _Seen, rng: np.random.Generator) -> Ints:
    """N18 by the true stage of the day; every tenth time unspecified."""
    number = seen.setting.codes.conditions.number
    stage = np.digitize(seen.egfr(np.arange(len(seen.visit))), [15, 30, 60])
    named = np.array([number(k) for k in ("ckd5", "ckd4", "ckd3", "ckd2")])[stage]
    return np.where(rng.random(len(stage)) < 0.1, number("ckd"), named)


def _drugs(seen: _Seen, condition: Frame) -> Frame:
    """Prescriptions: treatments of what was coded, the diabetes lines in force, something for the stomach.

    The interface of h14 sends none: orders of its pharmacy go another way.
    """
    rng, codes = seen.setting.stream("drugs"), seen.setting.codes
    rows, drugs = [], []
    for key, treatment in codes.treatments.items():
        at = np.flatnonzero(condition["code"] == codes.conditions.number(key))
        at = at[rng.random(len(at)) < treatment["chance"]]
        options = np.array([codes.drugs.number(name) for name in treatment["drugs"]])
        kept = seen.course["keeps"][condition["owner"][at]][:, options].argmax(axis=1)
        rows.append(condition["visit"][at])
        drugs.append(options[kept])
    diabetic = np.zeros(len(seen.visit), dtype=np.bool_)
    diabetic[condition["visit"][np.isin(condition["code"], codes.conditions.kind("diabetes"))]] = True
    for prescribed, number in _diabetes_lines(seen, rng, np.flatnonzero(diabetic)):
        rows.append(prescribed)
        drugs.append(np.full(len(prescribed), number))
    treated = np.unique(np.concatenate(rows))
    protected = treated[rng.random(len(treated)) < seen.setting.country.records["stomach_protection"]]
    row = np.concatenate([*rows, protected])
    drug = np.concatenate([*drugs, np.full(len(protected), codes.drugs.number("omeprazole"))])
    pairs = np.unique(row * len(codes.drugs) + drug)
    pairs = pairs[seen.visit["site"][pairs // len(codes.drugs)] != H14]
    row, drug = pairs // len(codes.drugs), pairs % len(codes.drugs)
    days = np.array(codes.drugs["days"], dtype=np.int64)[drug]
    return seen.recorded(row).having(code=drug, day=seen.day[row], days=days, per_day=np.where(days < 14, 3, 1))


def _diabetes_lines(seen: _Seen, rng: np.random.Generator, at: Ints) -> Iterator[tuple[Ints, int]]:
    """Metformin while filtration allows it (30 mL/min/1.73 m2), then a second drug, then insulin."""
    number = seen.setting.codes.drugs.number
    second = [number(k) for k in ("glimepiride", "sitagliptin", "empagliflozin", "dapagliflozin")]
    kept = seen.course["keeps"][seen.owner[at]][:, second].argmax(axis=1)
    taken = rng.random((len(at), 3)) < 0.85
    yield at[(seen.egfr(at) >= 30) & taken[:, 0]], number("metformin")
    for i, drug in enumerate(second):
        yield at[seen.since("line2")[at] & (kept == i) & taken[:, 1]], drug
    yield at[seen.since("line3")[at] & taken[:, 2]], number("glargine")


def _procedures(seen: _Seen) -> Frame:
    """Dialysis in stage 5, electrocardiograms, colonoscopies. The extract of h12 has no table for them."""
    rng, count = seen.setting.stream("procedures"), len(seen.visit)
    age = (seen.day - seen.people["birth"][seen.owner]) / YEAR
    dialysis = (seen.egfr(np.arange(count)) < 15) & (rng.random(count) < 0.6)
    cardiogram = rng.random(count) < np.where(age > 40, 0.08, 0.02)
    colonoscopy = (age > 45) & (rng.random(count) < 0.03)
    done = np.stack([dialysis, cardiogram, colonoscopy], axis=1) & (seen.visit["site"] != H12)[:, None]
    row, which = np.nonzero(done)
    numbers = [seen.setting.codes.procedures.number(k) for k in ("dialysis", "ecg", "colonoscopy")]
    return seen.recorded(row).having(code=np.array(numbers)[which], minute=seen.visit["start"][row] + 20)


def _vaccinations(seen: _Seen) -> Frame:
    """Influenza in autumn, pneumococci and zoster of the old. The extract of h12 has no table for them."""
    rng, count, codes = seen.setting.stream("vaccinations"), len(seen.visit), seen.setting.codes.vaccines
    age = (seen.day - seen.people["birth"][seen.owner]) / YEAR
    month = seen.day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    flu = (month >= 9) & (month <= 11) & (rng.random(count) < np.where(age > 65, 0.5, 0.15))
    old = (age > 65) & (rng.random((2, count)) < np.array([[0.03], [0.02]]))
    done = np.stack([flu, *old], axis=1) & (seen.visit["site"] != H12)[:, None]
    row, which = np.nonzero(done)
    numbers = np.array([codes.number(k) for k in ("flu", "pneumo", "zoster")])
    minute = np.minimum(seen.visit["start"][row] + 30, seen.visit["end"][row])
    return seen.recorded(row).having(code=numbers[which], minute=minute)


def _allergies(seen: _Seen) -> Frame:
    """Allergies to a drug, taken down at the person's first visit to a hospital that lists them (h12 does not)."""
    rng, count = seen.setting.stream("allergies"), len(seen.people)
    substance = np.where(rng.random(count) < 0.06, rng.integers(0, len(seen.setting.codes.allergens), count), -1)
    lists = np.flatnonzero((seen.visit["site"] != H12) & (substance[seen.owner] >= 0))
    _, first = np.unique(seen.owner[lists], return_index=True)
    row = lists[first]
    return seen.recorded(row).having(code=substance[seen.owner[row]], day=seen.day[row])


def _labs(seen: _Seen) -> Frame:
    """Results of each visit. A blood pressure is one row with two values."""
    rng, labs, count = seen.setting.stream("labs"), seen.setting.codes.labs, len(seen.visit)
    ordered = np.zeros((count, len(labs)), dtype=np.bool_)
    for key, chance in _orders(seen, rng):
        ordered[:, labs.number(key)] = rng.random(count) < chance
    row, analyte = np.nonzero(ordered)
    minute = np.minimum(seen.visit["start"][row] + 45, seen.visit["end"][row])
    frame = seen.recorded(row).having(code=analyte.astype(np.int64), minute=minute)
    people, course = seen.people.take(frame["owner"]), seen.course.take(frame["owner"])
    value, value2 = measured_values(rng, seen.setting.codes, people, course, day=minute // DAY_MINUTES, analyte=frame["code"])
    second_code = np.array([bool(c) for c in labs["h12_code2"]])[frame["code"]]
    alternative = (rng.random(len(frame)) < 0.15) & (frame["site"] == H12) & second_code
    return frame.having(value=value, value2=value2, alternative=alternative)


def _orders(seen: _Seen, rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    """Chance of each analyte at each visit."""
    count = len(seen.visit)
    diabetic, renal = seen.since("t2dm"), seen.since("ckd")
    general = rng.random(count) < 0.22
    lipids = rng.random(count) < np.where(general, 0.45, 0.05)
    yield "hba1c", np.where(diabetic, 0.70, np.where(general, 0.25, 0.02))
    yield "glucose", np.where(diabetic, 0.75, np.where(general, 0.85, 0.04))
    yield "creatinine", np.where(diabetic | renal, 0.70, np.where(general, 0.80, 0.05))
    yield "hb", np.where(renal, 0.5, np.where(general, 0.6, 0.04))
    yield "uacr", np.where(diabetic | renal, 0.35, 0.01)
    yield "crp", np.full(count, 0.10)
    yield "sbp", np.full(count, 0.62)
    for key in ("chol", "hdl", "ldl", "tg"):
        yield key, np.where(lipids, 0.95, 0.0)
