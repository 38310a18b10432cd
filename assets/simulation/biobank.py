"""What a biobank has of its donors: specimens, aliquots taken from them, thawings, hand-overs, uses and disposals.

Belongs here: the samples, amounts that add up, and which rows are planted errors. Does not belong here: text (`render_lims`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.simulation.clinical import DAY_MINUTES
from assets.simulation.consent import ALL_SCOPES, WITHDRAW, Consent
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Flags, Frame, Ints, between, draw_rows
from assets.simulation.setting import Setting

BLOOD, URINE, PLASMA, DNA = range(4)
SAMPLE_TYPES = ("WB-EDTA", "Urine", "Plasma", "DNA")
"""The biobank's own code for blood in EDTA, else sample types of MIABIS."""
SPECIMEN = 2
"""Number of the scope `specimen` in country.toml."""
SENT, EXPIRED, WITHDRAWN = range(3)

_COLLECTED = np.array([10_000, 50_000])
"""Microlitres of blood and of urine."""
_INITIAL = np.array([0, 4_000, 500, 20])
"""What an aliquot begins with: microlitres, of DNA micrograms."""
_TAKEN = np.array([0, 4_000, 500, 1_000])
"""What its specimen loses to it, microlitres."""
_USED = 100
_LOST = 300
_COPIES = ("unknown_parent", "duplicate", "bad_date", "missing_person", "ragged")


@dataclass(frozen=True)
class Biobank:
    """Samples of one chunk, each table in order of delivery. Every frame has `owner`, `id`, `delivery` and `plant`.

    Attributes:
        donor: People the biobank knows.
        specimen: `type`, `minute`, `initial`, `left` (uL).
        aliquot: `parent` (id of the specimen), `type`, `minute`, `initial`, `left` (uL or ug), `taken` (uL), `place`.
        thaw: `sample` (id of an aliquot), `minute`.
        custody: The same; it goes to the university.
        usage: The same; always 100 uL.
        disposal: `sample`, `of_specimen`, `minute`, `why`.
        withdrawn: Day on which each person withdrew specimens for good, NEVER for all others, shape (people,).
    """

    donor: Frame
    specimen: Frame
    aliquot: Frame
    thaw: Frame
    custody: Frame
    usage: Frame
    disposal: Frame
    withdrawn: Ints


def make_biobank(setting: Setting, people: Frame, consent: Consent) -> Biobank:
    """Samples of a share of the people, with or without their consent: the lake has to tell.

    Guarantee: of every sample that is not planted, initial = left + taken by aliquots + used, and nothing is left of what was disposed of.
    """
    rules, rng = setting.country.biobank, setting.stream("biobank")
    specimen = _specimens(setting, rng, people)
    aliquot = _aliquots(rng, specimen)
    draw = rng.random(len(aliquot))
    used = (aliquot["type"] == PLASMA) & (aliquot["ordinal"] == 0) & (draw < rules["used"])
    sent = (aliquot["ordinal"] == 1) & (draw < rules["sent"])
    expired = (aliquot["ordinal"] == 2) & (draw < rules["expired"])
    left = np.where(expired, 0, aliquot["initial"] - np.where(used, _USED, 0))
    aliquot = aliquot.having(left=left)
    withdrawn = _withdrawn(len(people), consent, setting.country.end)
    gave = np.isin(np.arange(len(people)), specimen["owner"])
    destroyed = np.zeros(len(people), dtype=np.bool_)
    destroyed[draw_rows(rng, gave & (withdrawn < NEVER), rules["destroyed"], at_least_one=setting.chunk == 0)] = True
    usage = _events(setting, rng, aliquot.take(used))
    disposal = [_disposals(_events(setting, rng, aliquot.take(expired)), EXPIRED, of_specimen=False)]
    for frame, of_specimen in ((specimen, True), (aliquot.take(~expired), False)):
        disposal.append(_destruction(setting, frame.take(destroyed[frame["owner"]]), withdrawn, of_specimen=of_specimen))
    every = Frame.concat(disposal)
    return Biobank(
        donor=_donors(specimen),
        specimen=_ordered(_planted_specimens(setting, specimen, gone=destroyed)),
        aliquot=_ordered(_planted_aliquots(setting, aliquot)),
        thaw=_ordered(usage),
        custody=_ordered(_events(setting, rng, aliquot.take(sent))),
        usage=_ordered(usage),
        disposal=_ordered(every.having(id=np.arange(len(every)) + (np.int64(setting.chunk) << 32))),
        withdrawn=withdrawn,
    )


def _specimens(setting: Setting, rng: np.random.Generator, people: Frame) -> Frame:
    """One specimen of blood a donor, of some also one of urine. In the first chunk somebody is a donor."""
    country = setting.country
    alive = np.minimum(people["death"], country.end)
    usable = np.maximum(people["enrolled"], country.start) < alive
    owner = draw_rows(rng, usable, country.biobank["donors"], at_least_one=setting.chunk == 0)
    more = owner[rng.random(len(owner)) < country.biobank["urine"]]
    every = np.concatenate([owner, more])
    kind = np.concatenate([np.full(len(owner), BLOOD), np.full(len(more), URINE)]).astype(np.int64)
    day = between(rng, np.maximum(people["enrolled"], country.start)[every], alive[every])
    aliquots = np.where(kind == BLOOD, 3 * _TAKEN[PLASMA] + _TAKEN[DNA], 2 * _TAKEN[URINE])
    return Frame(
        {
            "owner": every,
            "id": setting.ids(len(every)),
            "type": kind,
            "minute": day * DAY_MINUTES + between(rng, np.full(len(every), 480), np.full(len(every), 960)),
            "delivery": country.delivery_of(day),
            "initial": _COLLECTED[kind],
            "left": _COLLECTED[kind] - aliquots,
            "plant": np.zeros(len(every), dtype=np.int64),
        }
    )


def _aliquots(rng: np.random.Generator, specimen: Frame) -> Frame:
    """Of blood three of plasma and DNA, of urine two; an hour or two after collection."""
    count = np.where(specimen["type"] == BLOOD, 4, 2)
    row = np.repeat(np.arange(len(specimen)), count)
    ordinal = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    blood = specimen["type"][row] == BLOOD
    kind = np.where(blood, np.where(ordinal < 3, PLASMA, DNA), URINE).astype(np.int64)
    number = specimen["id"][row] * 4 + ordinal
    return Frame(
        {
            "owner": specimen["owner"][row],
            "id": number,
            "parent": specimen["id"][row],
            "ordinal": ordinal,
            "type": kind,
            "minute": specimen["minute"][row] + between(rng, np.full(len(row), 60), np.full(len(row), 120)),
            "delivery": specimen["delivery"][row],
            "initial": _INITIAL[kind],
            "left": _INITIAL[kind],
            "taken": _TAKEN[kind],
            "place": number,
            "plant": np.zeros(len(row), dtype=np.int64),
        }
    )


def _events(setting: Setting, rng: np.random.Generator, sample: Frame) -> Frame:
    """An event each, told in the delivery that brings the sample, so that what is left and what was used come together."""
    day = sample["minute"] // DAY_MINUTES
    until = np.asarray(setting.country.cutoffs)[sample["delivery"]]
    minute = np.maximum(between(rng, day, until) * DAY_MINUTES + 1_000, sample["minute"] + 1)
    return Frame(
        {
            "owner": sample["owner"],
            "id": sample["id"],
            "sample": sample["id"],
            "minute": minute,
            "delivery": sample["delivery"],
            "plant": sample["plant"],
        }
    )


def _disposals(event: Frame, why: int, *, of_specimen: bool) -> Frame:
    count = len(event)
    return event.having(why=np.full(count, why), of_specimen=np.full(count, of_specimen))


def _withdrawn(count: int, consent: Consent, end: int) -> Ints:
    """Day on which each person withdrew specimens for good, NEVER for all others."""
    event = consent.event
    about = np.isin(event["scope"], (SPECIMEN, ALL_SCOPES)) & (event["day"] <= end)
    last = np.full(count, -1, dtype=np.int64)
    np.maximum.at(last, event["owner"][about], event["day"][about])
    ends = about & (event["type"] == WITHDRAW) & (event["day"] == last[event["owner"]])
    found = np.full(count, NEVER, dtype=np.int64)
    found[event["owner"][ends]] = event["day"][ends]
    return found


def _destruction(setting: Setting, sample: Frame, withdrawn: Ints, *, of_specimen: bool) -> Frame:
    """Two weeks after the withdrawal, and not before there was a sample."""
    country = setting.country
    day = np.maximum(withdrawn[sample["owner"]] + 14, sample["minute"] // DAY_MINUTES + 1)
    told = np.maximum(country.delivery_of(day), sample["delivery"])
    event = Frame(
        {
            "owner": sample["owner"],
            "id": sample["id"],
            "sample": sample["id"],
            "minute": day * DAY_MINUTES + 600,
            "delivery": told,
            "plant": np.zeros(len(sample), dtype=np.int64),
        }
    )
    return _disposals(event.take(day <= country.end), WITHDRAWN, of_specimen=of_specimen)


def _donors(specimen: Frame) -> Frame:
    """Each donor once, with the first delivery that has a specimen of the person."""
    ordered = specimen.take(np.argsort(specimen["delivery"], kind="stable"))
    _, first = np.unique(ordered["owner"], return_index=True)
    donor = ordered.take(np.sort(first))
    return Frame({"owner": donor["owner"], "id": donor["owner"], "delivery": donor["delivery"], "plant": donor["plant"]})


def _planted_specimens(setting: Setting, specimen: Frame, *, gone: Flags) -> Frame:
    """Of some the record says that less is left than there can be."""
    rng, rate = setting.stream("errors/lims/specimen"), setting.country.biobank["errors"]["volume_off"]
    off = draw_rows(rng, ~gone[specimen["owner"]], rate, at_least_one=setting.chunk == 0)
    plant, left = specimen["plant"].copy(), specimen["left"].copy()
    plant[off], left[off] = NUMBER["lims_volume_off"], left[off] - _LOST
    return specimen.having(plant=plant, left=left)


def _planted_aliquots(setting: Setting, aliquot: Frame) -> Frame:
    """Two in one place, and copies under numbers of their own that must not land, or have no parent."""
    rng, rates = setting.stream("errors/lims/aliquot"), setting.country.biobank["errors"]
    first = setting.chunk == 0
    plant, place = aliquot["plant"].copy(), aliquot["place"].copy()
    usable = np.arange(len(aliquot)) % 2 == 1
    twice = draw_rows(rng, usable, rates["position_twice"], at_least_one=first)
    plant[twice], place[twice] = NUMBER["lims_position_twice"], place[twice - 1]
    parts = [aliquot.having(plant=plant, place=place)]
    for number, kind in enumerate(_COPIES):
        rows = draw_rows(rng, plant == 0, rates[kind], at_least_one=first)
        copy = aliquot.take(rows).having(plant=NUMBER[f"lims_{kind}"])
        if kind != "duplicate":
            copy = copy.having(id=copy["id"] + (np.int64(number + 1) << 52), place=copy["place"] + (np.int64(number + 1) << 52))
        parts.append(copy)
    return Frame.concat(parts)


def _ordered(frame: Frame) -> Frame:
    return frame.take(np.argsort(frame["delivery"], kind="stable"))
