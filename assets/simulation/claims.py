"""Claims of one year: hospital visits and clinic visits, with diagnoses, lines, prescriptions and money.

Belongs here: true claims, each inside its person's life, and the errors planted in them. Does not belong here: how NHIS and HIRA lay them
out (`render_nhis`, `render_hira`).

Money: a claim's total is the sum of its lines with 15 % on top, in tens of won; the patient bears 30 % (20 % in hospital) in hundreds; review
cuts some claims. Prescriptions are the pharmacy's money and no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assets.simulation.clinical import DAY_MINUTES, EMERGENCY, INPATIENT, OUTPATIENT, Events
from assets.simulation.consent import Consent
from assets.simulation.country import day_number
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Array, Flags, Frame, Ints, between, draw_rows, pick
from assets.simulation.physiology import measured_values
from assets.simulation.population import YEAR
from assets.simulation.setting import Setting

LINES = ("AA157", "AB200", "E6541", "999000220", "999000990", "99900M01")
"""EDI codes of lines: outpatient fee, a day in hospital, electrocardiogram, an injection, a code that was a drug until 2024 and is a material
since, and a material. All but fees and procedure are invented."""
LINE_TYPES = ("1", "1", "1", "3", "", "8")
PRICES = np.array([17_610, 61_230, 6_470, 31_000, 4_000, 12_500])
CLINICS = 400
_EXTRA = 50_000_000
"""Claim numbers of planted claims begin here within a chunk."""


@dataclass(frozen=True)
class Claims:
    """Claims of one chunk as delivered, errors included. `claim` in the other frames is the claim's row.

    Attributes:
        claim: `owner`, `number` (unique in the country), `source` (row of the true claim it says or copies), `day`, `days`, `kind`, `clinic`, `main` and `sub` (condition rows, -1 for none),
            `route`, money in won, `delivery` (index), `plant`, `true` (a fact in its final form).
        diagnosis: `claim`, `ordinal`, `code`, `plant`.
        line: `claim`, `ordinal`, `code` (row of LINES), `times`, `plant`.
        prescription: `claim`, `ordinal`, `code` (drug row), `days`, `per_day`, `plant`.
        checkup: `owner`, `day`, and a column an item.
        linked: People whom NHIS has, by row of the chunk.
        sampled: Those of them whom HIRA has.
    """

    claim: Frame
    diagnosis: Frame
    line: Frame
    prescription: Frame
    checkup: Frame
    linked: Flags
    sampled: Flags


def make_claims(setting: Setting, people: Frame, course: Frame, events: Events, consent: Consent) -> Claims:
    """Claims of the year that `country.toml` names, of the people whom agencies may link: those who ever agreed to the scope claims."""
    wanted = consent.state["scope"] == list(setting.country.consent["scopes"]).index("claims")
    linked = np.bincount(consent.state["owner"][wanted], minlength=len(people)) > 0
    sampled = linked & (setting.stream("claims/sample").random(len(people)) < setting.country.claims["hira_share"])
    making = _Making(setting, people, course, events, linked)
    claim, diagnosis, prescription = making.claims()
    line = making.lines(claim)
    claim = making.money(claim, line)
    claim, diagnosis, line, prescription = _Planting(setting, people, sampled).plant(claim, diagnosis, line, prescription)
    return Claims(claim, diagnosis, line, prescription, making.checkups(), linked, sampled)


class _Making:
    """Draws the true claims."""

    def __init__(self, setting: Setting, people: Frame, course: Frame, events: Events, linked: Flags) -> None:
        self._setting, self._people, self._course, self._events, self._linked = setting, people, course, events, linked
        self._parameters, self._codes = setting.country.claims, setting.codes
        self._first, self._last = day_number(self._parameters["start"]), day_number(self._parameters["end"])
        self._rng = setting.stream("claims")

    def claims(self) -> tuple[Frame, Frame, Frame]:
        """Claims in order of person and day with their diagnoses and prescriptions."""
        hospital, of_visit = self._hospital()
        clinic = self._clinic(hospital)
        claim = Frame.concat([hospital, clinic])
        coded = self._coded(of_visit)
        pairs = np.unique(np.concatenate([coded, self._drawn(clinic, len(hospital))]))
        width = len(self._codes.conditions)
        row, code = pairs // width, pairs % width
        order = np.lexsort((claim["day"], claim["owner"]))
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        sort = np.lexsort((self._rng.random(len(row)), back[row]))
        diagnosis = Frame({"claim": back[row][sort], "code": code[sort]})
        diagnosis = diagnosis.having(ordinal=_ordinal(diagnosis["claim"]))
        claim = claim.take(order)
        for name, ordinal in (("main", 1), ("sub", 2)):
            at = diagnosis.take(diagnosis["ordinal"] == ordinal)
            which = np.full(len(claim), -1, dtype=np.int64)
            which[at["claim"]] = at["code"]
            claim = claim.having(**{name: which})
        number = (np.int64(self._setting.chunk) * 100_000_000) + np.arange(len(claim), dtype=np.int64)
        return claim.having(number=number, source=np.arange(len(claim))), diagnosis, self._prescriptions(claim, diagnosis)

    def _hospital(self) -> tuple[Frame, Ints]:
        """Claims of hospital visits of the year, and the claim's row of each visit (-1 outside the year)."""
        visit = self._events.visit
        day = visit["start"] // DAY_MINUTES
        inside = (day >= self._first) & (day <= self._last) & self._linked[visit["owner"]]
        of_visit = np.where(inside, np.cumsum(inside) - 1, -1)
        taken = visit.take(inside)
        days = np.where(taken["kind"] == INPATIENT, taken["end"] // DAY_MINUTES - taken["start"] // DAY_MINUTES + 1, 1)
        columns = {"owner": taken["owner"], "day": day[inside], "days": days, "kind": taken["kind"], "clinic": CLINICS + taken["site"]}
        return Frame({name: column.astype(np.int64) for name, column in columns.items()}), of_visit

    def _clinic(self, hospital: Frame) -> Frame:
        """Visits to clinics: what is missing to the year's rate."""
        rng, people = self._rng, self._people
        first, last = np.maximum(self._first, people["birth"] + 1), np.minimum(people["death"], self._last)
        years = np.where(self._linked, np.clip((last - first + 1) / YEAR, 0, None), 0.0)
        taken = len(hospital) / max(float(years.sum()), 1.0)
        owner = np.repeat(np.arange(len(people)), rng.poisson(max(self._parameters["person_year"] - taken, 0.0) * years))
        day, count = between(rng, first[owner], last[owner]), len(owner)
        kind = np.where(rng.random(count) < self._parameters["inpatient"], INPATIENT, OUTPATIENT)
        days = np.where(kind == INPATIENT, np.minimum(rng.integers(2, 9, count), last[owner] - day + 1), 1)
        return Frame({"owner": owner, "day": day, "days": days, "kind": kind, "clinic": rng.integers(0, CLINICS, count)})

    def _coded(self, of_visit: Ints) -> Ints:
        """Claim and condition of each diagnosis of a hospital visit, as one number."""
        condition = self._events.condition
        row = of_visit[condition["visit"]]
        return np.asarray(row[row >= 0] * len(self._codes.conditions) + condition["code"][row >= 0], dtype=np.int64)

    def _drawn(self, clinic: Frame, offset: int) -> Ints:
        """The same of clinic visits: one diagnosis and more by chance, chronic conditions that hold or acute ones. One in three is drawn twice."""
        rng, conditions = self._rng, self._codes.conditions
        row = np.repeat(np.arange(len(clinic)), 1 + rng.poisson(1.6 * (self._parameters["diagnoses"] - 1), len(clinic)))
        owner, day = clinic["owner"][row], clinic["day"][row]
        lasting = np.array([*conditions.kind("chronic"), *conditions.kind("rare")])
        onset = np.column_stack([self._course["onset"][:, lasting], self._course["t2dm"], self._course["ckd"]])
        codes = np.r_[lasting, conditions.number("t2dm"), conditions.number("ckd")]
        weight = np.where(onset[owner] <= day[:, None], rng.random((len(row), len(codes)), dtype=np.float32), np.float32(-1))
        best = weight.argmax(axis=1)
        holds = weight[np.arange(len(row)), best] >= 0
        acute = np.array(conditions.kind("acute"))
        drawn = acute[pick(rng, [conditions["prevalence"][n] for n in acute], len(row))]
        code = np.where(holds & (rng.random(len(row)) < self._parameters["chronic"]), codes[best], drawn)
        return np.asarray((row + offset) * len(conditions) + code, dtype=np.int64)

    def _prescriptions(self, claim: Frame, diagnosis: Frame) -> Frame:
        """What was prescribed for the diagnoses, each drug once a claim."""
        rng, codes = self._rng, self._codes
        pairs: list[Ints] = []
        for row, drug in self._treated(claim, diagnosis):
            pairs.append(row * len(codes.drugs) + drug)
        both = np.unique(np.concatenate(pairs))
        row, drug = both // len(codes.drugs), both % len(codes.drugs)
        days = np.minimum(np.array(codes.drugs["days"], dtype=np.int64)[drug], rng.choice([30, 60, 90], len(row)))
        return Frame({"claim": row, "ordinal": _ordinal(row), "code": drug, "days": days, "per_day": np.where(days < 14, 3, 1)})

    def _treated(self, claim: Frame, diagnosis: Frame) -> Iterator[tuple[Ints, Array]]:
        codes = self._codes
        treatments = {**codes.treatments, "t2dm": {"drugs": ["metformin"], "chance": 0.8}}
        for key, treatment in treatments.items():
            at = diagnosis["claim"][diagnosis["code"] == codes.conditions.number(key)]
            at = at[self._rng.random(len(at)) < treatment["chance"]]
            options = np.array([codes.drugs.number(name) for name in treatment["drugs"]])
            yield at, options[self._course["keeps"][claim["owner"][at]][:, options].argmax(axis=1)]

    def lines(self, claim: Frame) -> Frame:
        """Lines of treatment: a fee for every claim, more by chance."""
        rng, count = self._rng, len(claim)
        stay = claim["kind"] == INPATIENT
        done = np.stack([~stay, stay, *(rng.random(count) < chance for chance in (0.12, 0.06, 0.02, 0.03))], axis=1)
        row, code = np.nonzero(done)
        times = np.where(code == 1, claim["days"][row], 1)
        return Frame({"claim": row, "ordinal": _ordinal(row), "code": code, "times": times})

    def money(self, claim: Frame, line: Frame) -> Frame:
        """Claims with what was claimed and what review left of it."""
        raw = np.bincount(line["claim"], weights=PRICES[line["code"]] * line["times"], minlength=len(claim)).astype(np.int64)
        claimed = raw * 115 // 1000 * 10
        cut = self._rng.random(len(claim)) < self._parameters["cut"]
        adjudicated = np.where(cut, claimed * self._rng.integers(50, 100, len(claim)) // 1000 * 10, claimed)
        share = np.where(claim["kind"] == INPATIENT, 20, 30)
        columns = {"claimed": claimed, "claimed_patient": claimed * share // 10_000 * 100}
        columns |= {"adjudicated": adjudicated, "adjudicated_patient": adjudicated * share // 10_000 * 100}
        route = np.where(claim["kind"] == EMERGENCY, 11, np.where((claim["kind"] == INPATIENT) & (claim["number"] % 5 == 0), 21, 0))
        return claim.having(**columns, route=route)

    def checkups(self) -> Frame:
        """Check-ups of adults, dated to a month."""
        rng, people = self._setting.stream("claims/checkups"), self._people
        alive = np.minimum(people["death"], self._last)
        adult = self._linked & (self._first - people["birth"] > 20 * YEAR) & (alive - self._first > 200)
        owner = np.flatnonzero(adult & (rng.random(len(people)) < self._parameters["checkup"]))
        day = between(rng, np.full(len(owner), self._first), np.minimum(people["death"][owner] - 1, self._last))
        of_people, of_course = people.take(owner), self._course.take(owner)
        found: dict[str, Array] = {"owner": owner, "day": day}
        for key in ("glucose", "creatinine", "chol", "hdl", "ldl", "tg", "hb", "sbp"):
            analyte = np.full(len(owner), self._codes.labs.number(key))
            value, second = measured_values(rng, self._codes, of_people, of_course, day=day, analyte=analyte)
            found[key] = value
            if key == "sbp":
                found["dbp"] = second
        height = np.round(np.where(of_people["female"], rng.normal(158, 6, len(owner)), rng.normal(171, 6, len(owner))))
        weight = np.round(rng.normal(23.8, 3.2, len(owner)).clip(15, 45) * (height / 100) ** 2)
        enzymes = {name: np.round(rng.lognormal(np.log(24), 0.4, len(owner))) for name in ("ast", "alt", "ggt")}
        return Frame({**found, "height": height, "weight": weight, "waist": np.round(weight * 0.62 + 42), **enzymes})


class _Planting:
    """Plants each kind of `[claims.errors]`; a record carries at most one kind."""

    def __init__(self, setting: Setting, people: Frame, sampled: Flags) -> None:
        self._setting, self._people, self._sampled = setting, people, sampled
        self._rng = setting.stream("errors/claims")
        self._rates = setting.country.claims["errors"]

    def plant(self, claim: Frame, diagnosis: Frame, line: Frame, prescription: Frame) -> tuple[Frame, Frame, Frame, Frame]:
        """All four frames with `plant` (and claims with `delivery` and `true`); false claims stand behind the true ones."""
        first, last = self._setting.country.claims["deliveries"]
        claim = claim.having(plant=np.zeros(len(claim), np.int64), delivery=np.full(len(claim), first), true=np.ones(len(claim), np.bool_))
        late = self._draw(claim["plant"] == 0, self._setting.country.claims["late"], claim["owner"])
        claim = _marked(claim, late, "claim_late", delivery=last)
        diagnosis, line, prescription = (f.having(plant=np.zeros(len(f), np.int64)) for f in (diagnosis, line, prescription))
        extra: list[Frame] = []
        wrong = self._draw(claim["plant"] == 0, self._rates["superseded"], claim["owner"])
        old = claim.take(wrong).having(plant=NUMBER["claim_superseded"], true=False)
        extra.append(old.having(adjudicated=old["adjudicated"] + 1_000, claimed=old["claimed"] + 1_000))
        claim = _marked(claim, wrong, "claim_corrected", delivery=last)
        for kind in ("duplicate", "bad_date", "missing_person"):
            rows = self._draw(claim["plant"] == 0, self._rates[kind], claim["owner"])
            extra.append(claim.take(rows).having(plant=NUMBER[f"claim_{kind}"], true=False))
        extra.append(self._after_death(claim))
        owner = claim["owner"][diagnosis["claim"]]
        for kind in ("masked_code", "truncated_code", "unknown_code"):
            diagnosis = _marked(diagnosis, self._draw(diagnosis["plant"] == 0, self._rates[kind], owner), f"claim_{kind}")
        diagnosis = self._copies(diagnosis, claim, "orphan_line")
        line = self._copies(line, claim, "ragged")
        prescription = self._copies(prescription, claim, "encoding")
        renumbered = [f if i in (0, 1) else self._renumber(f, i) for i, f in enumerate(extra)]
        return Frame.concat([claim, *renumbered]), diagnosis, line, prescription

    def _draw(self, usable: Flags, rate: float, owner: Ints) -> Ints:
        """Rows at a rate; in the first chunk at least one, of a person whom both agencies have."""
        rows = draw_rows(self._rng, usable, rate, at_least_one=False)
        if self._setting.chunk or self._sampled[owner[rows]].any():
            return rows
        return np.union1d(rows, draw_rows(self._rng, usable & self._sampled[owner], 0.0, at_least_one=True))

    def _copies(self, frame: Frame, claim: Frame, kind: str) -> Frame:
        """Add damaged copies of lines of claims of the initial delivery."""
        rows = self._draw((frame["plant"] == 0) & (claim["plant"] == 0)[frame["claim"]], self._rates[kind], claim["owner"][frame["claim"]])
        return Frame.concat([frame, frame.take(rows).having(plant=NUMBER[f"claim_{kind}"])])

    def _after_death(self, claim: Frame) -> Frame:
        """A claim filed for somebody who had died the month before or earlier; it says what an earlier one said."""
        died = self._people["death"][claim["owner"]]
        known = died <= day_number(self._setting.country.claims["end"])  # later deaths stand in the next year's eligibility
        rows = self._draw((claim["plant"] == 0) & known, self._rates["after_death"], claim["owner"])
        false = claim.take(rows)
        return false.having(
            day=died[rows] + 40,
            days=np.ones(len(false), dtype=np.int64),
            kind=OUTPATIENT,
            route=0,
            plant=NUMBER["claim_after_death"],
            true=False,
        )

    def _renumber(self, frame: Frame, block: int) -> Frame:
        number = np.int64(self._setting.chunk) * 100_000_000 + _EXTRA + block * 1_000_000 + np.arange(len(frame), dtype=np.int64)
        return frame.having(number=number)


def _marked(frame: Frame, rows: Ints, kind: str, **changes: int) -> Frame:
    """The frame with a kind, and other columns, set in some rows."""
    columns = {"plant": NUMBER[kind], **changes}
    new = {}
    for name, value in columns.items():
        new[name] = frame[name].copy()
        new[name][rows] = value
    return frame.having(**new)


def _ordinal(groups: Ints) -> Ints:
    """1, 2, 3 ... within each run of equal numbers."""
    first = np.r_[True, groups[1:] != groups[:-1]] if len(groups) else np.zeros(0, np.bool_)
    begin = np.maximum.accumulate(np.where(first, np.arange(len(groups)), 0))
    return np.asarray(np.arange(len(groups)) - begin + 1, dtype=np.int64)
