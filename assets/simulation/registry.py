"""A disease registry: who is enrolled in it, and what its study nurses copy from hospital records, visit by visit.

Belongs here: participants, visits as the registry knows them, planted errors. Does not belong here: how a record is written (`render_redcap`), what is
true of it (`truth_registry`).

A registry asks for few things: listed diagnoses and some results, by the day. It enrols people whose consent to clinical use at the consent service has
no limit to the records it covers, so that its own form can say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.simulation.clinical import DAY_MINUTES, Events
from assets.simulation.codes import Codes
from assets.simulation.consent import CLINICAL, GRANT, Consent
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Flags, Floats, Frame, Ints, draw_rows
from assets.simulation.setting import Setting

DIAGNOSES: tuple[tuple[str, ...], ...] = (
    ("t2dm",), ("t2dm_kidney",), ("t2dm_eye",), ("t2dm_nerve",), ("ckd1",), ("ckd2",), ("ckd3",), ("ckd4",), ("ckd5",), ("ckd",),
    ("htn", "htn_kr"), ("lipid",), ("asthma",), ("thyroid",), ("cf",), ("als",), ("ms",), ("lupus",),
)  # fmt: skip
"""Options of the registry's list of diagnoses, in its order; hospitals may have several codes for one."""
RESULTS = ("hba1c", "creatinine", "sbp", "dbp")
"""Results the registry asks for."""
CONSENTS = ("clinical", "genomic", "specimen", "lifelog", "recontact", "overseas")
"""Scopes its form asks for, the gate first."""
_COPIED = ("duplicate", "missing_person", "registry_ragged", "registry_encoding", "registry_withheld")
_EXTRA_INSTANCE = 1000
"""Visits that say nothing true have numbers from here on."""


@dataclass(frozen=True)
class Registry:
    """What the registry of one chunk exports.

    Attributes:
        participant: One row a participant: `owner`, `day` and `until` (first day without consent, or NEVER) of consent, `granted` (rows, CONSENTS),
            `delivery`, `plant`.
        visit: One row a visit and version: `owner`, `instance`, `day`, `diagnosis` (rows, DIAGNOSES), `result` (rows, RESULTS; NaN where none),
            `delivery`, `plant`; in order of delivery.
    """

    participant: Frame
    visit: Frame


def eligible(setting: Setting, people: Frame, course: Frame, consent: Consent) -> Ints:
    """Rows of people with diabetes, kidney or rare disease whom the registry found; a few in the first chunk however small it is."""
    rules, rng = setting.country.registry, setting.stream("registry")
    alive = np.minimum(people["death"], setting.country.end)
    rare = course["onset"][:, setting.codes.conditions.kind("rare")] <= alive[:, None]
    ill = (course["t2dm"] <= alive) | (course["ckd"] <= alive) | rare.any(axis=1)
    found = np.flatnonzero(ill & _unlimited(consent, len(people)))
    count = int(rng.binomial(len(found), rules["share"]))
    count = max(count, rules["at_least"] if setting.chunk == 0 else 0)
    return np.sort(rng.choice(found, min(count, len(found)), replace=False))


def _unlimited(consent: Consent, count: int) -> Flags:
    """Who granted clinical use of all records."""
    event = consent.event
    clinical = (event["type"] == GRANT) & (event["scope"] == CLINICAL) & (event["covers"] == NEVER)
    return np.bincount(event["owner"][clinical], minlength=count) > 0


def make_registry(setting: Setting, people: Frame, events: Events, consent: Consent, owners: Ints) -> Registry:
    """Participants and their visits from the day of enrolment on, with the planted errors."""
    return Registry(_participants(setting, people, consent, owners), _planted(setting, _visits(setting, people, events, owners)))


def _participants(setting: Setting, people: Frame, consent: Consent, owners: Ints) -> Frame:
    """Each says to the registry what they said to the consent service on the day of enrolment."""
    event = consent.event.take(consent.event["type"] == GRANT)
    numbers = [setting.country.consent["scopes"].index(scope) for scope in CONSENTS]
    granted = np.zeros((len(people), len(setting.country.consent["scopes"])), dtype=np.bool_)
    granted[event["owner"], event["scope"]] = True
    until = np.full(len(people), NEVER)
    clinical = event.take(event["scope"] == CLINICAL)
    until[clinical["owner"]] = clinical["until"]
    day = people["enrolled"][owners]
    frame = Frame({"owner": owners, "day": day, "until": until[owners], "granted": granted[owners][:, numbers]})
    frame = frame.having(delivery=setting.country.delivery_of(day), plant=0 * owners)
    return frame.take(np.argsort(frame["delivery"], kind="stable"))


def _visits(setting: Setting, people: Frame, events: Events, owners: Ints) -> Frame:
    """Visits of participants at any hospital of which the registry has something to note."""
    visit, member = events.visit, np.zeros(len(people), dtype=np.bool_)
    member[owners] = True
    diagnosis, result = _diagnoses(setting.codes, events), _results(setting.codes, events)
    day = visit["start"] // DAY_MINUTES
    noted = diagnosis.any(axis=1) | ~np.isnan(result).all(axis=1)
    rows = np.flatnonzero(member[visit["owner"]] & (day >= people["enrolled"][visit["owner"]]) & noted)
    rows = rows[np.lexsort((visit["start"][rows], visit["owner"][rows]))]
    owner = visit["owner"][rows]
    first = np.searchsorted(owner, owner, side="left")
    return Frame(
        {
            "owner": owner, "instance": np.arange(len(rows)) - first + 1, "day": day[rows], "diagnosis": diagnosis[rows], "result": result[rows],
            "delivery": setting.country.delivery_of(visit["end"][rows] // DAY_MINUTES), "plant": np.zeros(len(rows), np.int64),
        }
    )  # fmt: skip


def _diagnoses(codes: Codes, events: Events) -> Flags:
    """(visits, DIAGNOSES): what the registry's list names."""
    option = np.full(len(codes.conditions), -1)
    for place, keys in enumerate(DIAGNOSES):
        option[[codes.conditions.number(key) for key in keys]] = place
    told = option[events.condition["code"]]
    found = np.zeros((len(events.visit), len(DIAGNOSES)), dtype=np.bool_)
    found[events.condition["visit"][told >= 0], told[told >= 0]] = True
    return found


def _results(codes: Codes, events: Events) -> Floats:
    """(visits, RESULTS): the first result of each visit, NaN where there is none."""
    found = np.full((len(events.visit), len(RESULTS)), np.nan)
    lab = events.lab.take(np.arange(len(events.lab))[::-1])
    for place, key in enumerate(RESULTS):
        source, column = ("sbp", "value2") if key == "dbp" else (key, "value")
        of_key = lab.take(lab["code"] == codes.labs.number(source))
        found[of_key["visit"], place] = of_key[column]
    return found


def _planted(setting: Setting, frame: Frame) -> Frame:
    """The visits with wrong versions that are corrected by the last delivery, and with copies that must not land or say nothing."""
    rng, country = setting.stream("errors/registry"), setting.country
    rates, taken, parts = country.registry["errors"], np.zeros(len(frame), dtype=np.bool_), []
    has_sugar = ~np.isnan(frame["result"][:, 0])
    for kind in ("superseded", *_COPIED):
        may = ~taken & (has_sugar & (frame["delivery"] < country.last) if kind == "superseded" else True)
        rows = draw_rows(rng, np.asarray(may, dtype=np.bool_), rates[kind], at_least_one=setting.chunk == 0)
        taken[rows] = True
        copies = frame.take(rows).having(plant=NUMBER[kind])
        if kind == "superseded":
            copies["result"][:, 0] += 3.0
            frame["plant"][rows] = NUMBER["corrected"]
            frame["delivery"][rows] = country.last
        elif kind != "duplicate":
            copies = copies.having(instance=copies["instance"] + _EXTRA_INSTANCE)
        parts.append(copies)
    every = Frame.concat([frame, *parts])
    return every.take(np.argsort(every["delivery"], kind="stable"))
