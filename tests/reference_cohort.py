"""Five people whom one can check by eye, and what is true of them, written once and rendered by every renderer of the simulation.

Belongs here: the five lives, and the rows of the simulator's model made of them. Does not belong here: anything about a format or a table of the lake.
Each fact is recorded at each hospital, billed to both agencies, and each blood pressure is also measured by a device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from assets.simulation.chunk import Chunk, registrations, roster
from assets.simulation.claims import LINES, Claims
from assets.simulation.clinical import DAY_MINUTES, EMERGENCY, INPATIENT, OUTPATIENT, Events
from assets.simulation.codes import CodeList, load_codes
from assets.simulation.consent import GRANT, Consent
from assets.simulation.country import SITES, day_number, load_country
from assets.simulation.devices import BLOOD_GLUCOSE, BLOOD_PRESSURE, BODY_WEIGHT, OFFSETS
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Array, Frame, unique_ids
from assets.simulation.identities import introduce
from assets.simulation.kernels import fixed_width
from assets.simulation.physiology import disease_courses
from assets.simulation.registry import make_registry
from assets.simulation.residents import resident_numbers
from assets.simulation.setting import Setting
from assets.simulation.simulate import write_country

SEED = 3


@dataclass(frozen=True)
class Visit:
    """What happened at one visit; times are on the Korean clock. A key ending in `!` is first delivered wrong and corrected a month later."""

    start: str
    end: str
    kind: int
    conditions: tuple[str, ...] = ()
    drugs: tuple[tuple[str, int], ...] = ()
    labs: tuple[tuple[str, float], ...] = ()
    pressure: tuple[int, int] | None = None
    procedures: tuple[str, ...] = ()
    vaccines: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Life:
    """One person."""

    name: str
    birth: str
    female: bool
    visits: tuple[Visit, ...]
    death: str | None = None
    foreign: bool = False


LIVES = (
    Life("a woman with diabetes", "1958-03-14", True, (
        Visit("2025-03-04 09:30", "2025-03-04 10:10", OUTPATIENT, ("t2dm", "t2dm_eye"), (("metformin", 90),), (("hba1c", 7.9), ("creatinine", 0.84)), (138, 82)),
        Visit("2025-10-02 14:05", "2025-10-02 14:40", OUTPATIENT, ("t2dm",), (("metformin", 90), ("sitagliptin", 90)), (("hba1c", 7.1), ("chol", 201)),
              vaccines=("flu",)),
    )),
    Life("a man who died in hospital", "1949-11-02", False, (
        Visit("2025-05-11 08:30", "2025-05-11 08:50", OUTPATIENT, ("ckd3", "htn"), (("losartan", 30),), (("creatinine!", 2.1), ("hb", 10.4))),
        Visit("2025-08-28 22:15", "2025-09-03 11:00", INPATIENT, ("ckd5", "pneumonia"), (("furosemide", 7),), (("crp", 84.3),), procedures=("ecg",)),
    ), death="2025-09-30"),
    Life("a child at night", "2015-07-21", False, (
        Visit("2025-01-01 00:20", "2025-01-01 02:00", EMERGENCY, ("asthma",), (("prednisone", 5),), (("crp", 0.4),), allergies=("amoxicillin",)),
    )),
    Life("a foreign woman", "1985-01-31", True, (
        Visit("2025-12-31 23:40", "2025-12-31 23:59", OUTPATIENT, ("thyroid",), (("levothyroxine", 90),), (("glucose", 97),), (118, 71)),
    ), foreign=True),
    Life("a man born on a leap day", "2000-02-29", False, (
        Visit("2025-06-15 12:00", "2025-06-15 12:30", OUTPATIENT, ("uri!", "gastritis", "htn_kr"), (("acetaminophen", 3),), (("ldl", 131), ("tg", 88), ("hdl", 49), ("uacr", 12.5)),
              vaccines=("pneumo",)),
    )),
)  # fmt: skip


def minute(text: str) -> int:
    """Minutes since 1970-01-01 00:00 on the Korean clock."""
    return int((datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds() // 60)


def _day(text: str | None) -> int:
    return NEVER if text is None else day_number(datetime.fromisoformat(text).date())


def write_reference(out: Path) -> Chunk:
    """Write deliveries of all sites below `out`; the chunk that was rendered."""
    country = load_country()
    setting = Setting(country, load_codes(), SEED, 0, 1, len(LIVES))
    people = _people()
    events = _events(setting)
    consent = _consent(setting)
    chunk = Chunk(
        setting, people, disease_courses(setting, people), events, consent, _claims(setting, events),
        fixed_width((resident_numbers(setting, people) + ord("0")).astype(np.uint8)), introduce(setting, len(people)),
        _points(setting, events), Frame({n: np.zeros(0, np.int64) for n in ("owner", "id", "series", "study", "instance", "day", "modality", "part", "delivery", "plant")}),
        make_registry(setting, people, events, consent, np.arange(len(people))),
    )  # fmt: skip
    delivered = {name: _everywhere(_delivered(getattr(events, name), setting, name)) for name in events.__dataclass_fields__}
    registered = roster(country, people, registrations(people, delivered["visit"]))
    write_country(country, [(chunk, delivered, registered)], out, SEED)
    return chunk


def _people() -> Frame:
    count, sites = len(LIVES), len(SITES)
    whole = np.ones((count, sites), dtype=np.bool_)
    flags = {name: np.full(count, value) for name, value in (("has_consent", True), ("wears", True), ("imaged", False), ("filler", False))}
    numbers = {name: np.arange(count, dtype=np.int64) for name in ("person", "family")}
    return Frame(
        {
            **numbers, **flags, "role": np.zeros(count, np.int64), "arm": np.zeros(count, np.int64), "mother": np.full(count, -1), "father": np.full(count, -1),
            "birth": np.array([_day(life.birth) for life in LIVES]), "death": np.array([_day(life.death) for life in LIVES]),
            "female": np.array([life.female for life in LIVES]), "foreign": np.array([life.foreign for life in LIVES]),
            "enrolled": np.full(count, _day("2024-06-01")), "attends": whole, "knows": whole, "split": np.full((count, sites), NEVER), "main": np.zeros(count, np.int64),
        }
    )  # fmt: skip


def _visits() -> Iterator[tuple[int, Visit]]:
    return ((owner, visit) for owner, life in enumerate(LIVES) for visit in life.visits)


def _frame(rows: list[dict[str, float | int | bool]], like: dict[str, type]) -> Frame:
    return Frame({name: np.array([row[name] for row in rows], dtype=kind) for name, kind in like.items()})


_BASE: dict[str, type] = {"id": np.int64, "visit": np.int64, "owner": np.int64, "site": np.int64, "number": np.int64, "doctor": np.int64}


def _events(setting: Setting) -> Events:
    codes = setting.codes
    visits = list(_visits())
    visit = Frame(
        {
            "owner": np.array([owner for owner, _ in visits]), "site": np.zeros(len(visits), np.int64), "number": np.zeros(len(visits), np.int64),
            "start": np.array([minute(v.start) for _, v in visits]), "end": np.array([minute(v.end) for _, v in visits]),
            "kind": np.array([v.kind for _, v in visits]), "department": np.zeros(len(visits), np.int64), "doctor": np.arange(len(visits)),
            "id": unique_ids(0, len(visits)),
        }
    )  # fmt: skip

    def listed(name: str, table: CodeList, extra: dict[str, type]) -> Frame:
        rows = []
        for row, (owner, v) in enumerate(visits):
            for i, item in enumerate(getattr(v, name)):
                key, *values = item if isinstance(item, tuple) else (item,)
                start = minute(v.start)
                base = {"id": len(rows), "visit": row, "owner": owner, "site": 0, "number": 0, "doctor": row}
                given = {
                    "code": table.number(key.rstrip("!")),
                    "corrected": key.endswith("!"),
                    "day": start // DAY_MINUTES,
                    "minute": start + 10,
                }
                rows.append({**base, **given, "primary": i == 0, "days": int(values[0]) if values else 0, "value": values[0] if values else 0.0,
                             "value2": 0.0, "per_day": 1, "alternative": False})  # fmt: skip
            if name == "labs" and v.pressure:
                rows.append({"id": len(rows), "visit": row, "owner": owner, "site": 0, "number": 0, "doctor": row, "code": table.number("sbp"),
                             "corrected": False, "minute": minute(v.start) + 10, "value": v.pressure[0], "value2": v.pressure[1], "alternative": False})  # fmt: skip
        return _frame(rows, {**_BASE, "code": np.int64, "corrected": np.bool_, **extra})

    day: dict[str, type] = {"day": np.int64}
    at: dict[str, type] = {"minute": np.int64}
    return Events(
        visit,
        listed("conditions", codes.conditions, {**day, "primary": np.bool_}),
        listed("drugs", codes.drugs, {**day, "days": np.int64, "per_day": np.int64}),
        listed("procedures", codes.procedures, at),
        listed("labs", codes.labs, {**at, "value": np.float64, "value2": np.float64, "alternative": np.bool_}),
        listed("vaccines", codes.vaccines, at),
        listed("allergies", codes.allergens, day),
    )


def _delivered(frame: Frame, setting: Setting, name: str) -> Frame:
    """Everything with the first delivery; what is to be corrected is wrong there and right in the second. Every third result comes in another unit."""
    none = np.zeros(len(frame), dtype=np.int64)
    frame = frame.having(delivery=none, plant=none, removed=none.astype(np.bool_))
    if name == "lab":
        labs = setting.codes.labs
        second = np.isin(frame["code"], [labs.number(k) for k in ("hba1c", "creatinine", "glucose")]) & (frame["id"] % 2 == 0)
        frame = frame.having(plant=np.where(second, NUMBER["unit_other"], 0))
    if "corrected" not in frame.columns or not frame["corrected"].any():
        return frame
    wrong = frame.take(frame["corrected"]).having(plant=NUMBER["superseded"])
    changed = {"value": wrong["value"] + 5} if name == "lab" else {"code": np.full(len(wrong), setting.codes.conditions.number("gout"))}
    right = frame["corrected"]
    frame = frame.having(plant=np.where(right, NUMBER["corrected"], frame["plant"]), delivery=right.astype(np.int64))
    every = Frame.concat([frame, wrong.having(**changed)])
    return every.take(np.argsort(every["delivery"], kind="stable"))


def _everywhere(frame: Frame) -> Frame:
    """The same rows at each hospital, in order of delivery."""
    every = Frame.concat([frame.having(site=site) for site in range(len(SITES))])
    return every.take(np.argsort(every["delivery"], kind="stable"))


def _consent(setting: Setting) -> Consent:
    """Everybody agreed to everything before the first visit."""
    scopes = len(setting.country.consent["scopes"])
    owner, scope = (a.ravel() for a in np.meshgrid(np.arange(len(LIVES)), np.arange(scopes), indexing="ij"))
    plain = np.zeros(len(owner), dtype=np.int64)
    event = Frame(
        {
            "owner": owner, "type": plain + GRANT, "scope": scope, "day": plain + _day("2024-06-01"), "form": plain, "version": plain + 1, "terms": plain,
            "until": plain + NEVER, "covers": plain + NEVER, "slot": scope, "id": unique_ids(0, len(owner)),
        }
    )  # fmt: skip
    state = Frame(
        {"owner": owner, "scope": scope, "since": event["day"], "until": plain + NEVER, "covers": plain + NEVER, "ending": plain - 1}
    )
    return Consent(event, state)


def _claims(setting: Setting, events: Events) -> Claims:
    """A claim a visit. Corrections reach agencies before they file, so a claim comes once."""
    visit, count = events.visit, len(events.visit)
    zero = np.zeros(count, dtype=np.int64)
    start, end = visit["start"] // DAY_MINUTES, visit["end"] // DAY_MINUTES

    def of_claim(frame: Frame, **columns: Array) -> Frame:
        ordinal = np.array([int((frame["visit"][:i] == v).sum()) + 1 for i, v in enumerate(frame["visit"])], dtype=np.int64)
        return Frame({"claim": frame["visit"], "ordinal": ordinal, "plant": 0 * frame["visit"], **columns})

    diagnosis = of_claim(events.condition, code=events.condition["code"])
    which = [[int(c) for c in diagnosis["code"][diagnosis["claim"] == i]] for i in range(count)]
    claim = Frame(
        {
            "owner": visit["owner"], "number": np.arange(count), "source": np.arange(count), "day": start, "kind": visit["kind"],
            "days": np.where(visit["kind"] == INPATIENT, end - start + 1, 1), "clinic": zero + 400, "route": np.where(visit["kind"] == EMERGENCY, 11, 0),
            "main": np.array([c[0] if c else -1 for c in which]), "sub": np.array([c[1] if len(c) > 1 else -1 for c in which]),
            **dict.fromkeys(("claimed", "adjudicated"), zero + 20000), **dict.fromkeys(("claimed_patient", "adjudicated_patient"), zero + 6000),
            "delivery": zero, "plant": zero, "true": zero == 0,
        }
    )  # fmt: skip
    line = of_claim(events.procedure, code=np.full(len(events.procedure), LINES.index("E6541")), times=1 + 0 * events.procedure["id"])
    drug = of_claim(events.drug, code=events.drug["code"], days=events.drug["days"], per_day=events.drug["per_day"])
    items = ("glucose", "creatinine", "chol", "hdl", "ldl", "tg", "hb", "sbp", "dbp", "height", "weight", "waist", "ast", "alt", "ggt")
    checkup = Frame({"owner": zero[:0], "day": zero[:0], **{n: np.zeros(0) for n in items}})
    everybody = np.ones(len(LIVES), dtype=np.bool_)
    return Claims(claim, diagnosis, line, drug, checkup, everybody, everybody)


def _points(setting: Setting, events: Events) -> Frame:
    """Each blood pressure as a device writes it, on three clocks, and a weight in pounds and a glucose in mmol/L beside it."""
    labs = setting.codes.labs
    read = events.lab.take(events.lab["code"] == labs.number("sbp"))
    count = len(read)
    read = read.take(np.tile(np.arange(count), 3))
    measure = np.repeat([BLOOD_PRESSURE, BODY_WEIGHT, BLOOD_GLUCOSE], count)
    value = np.where(measure == BODY_WEIGHT, 61.3, np.where(measure == BLOOD_GLUCOSE, 118.0, read["value"]))
    other, count = measure != BLOOD_PRESSURE, len(read)
    return Frame(
        {
            "owner": read["owner"], "id": unique_ids(0, count), "measure": measure, "minute": read["minute"], "value": value,
            "value2": read["value2"], "other_unit": other, "offset": np.array(OFFSETS)[np.arange(count) % 3 * -1],
            "delivery": np.zeros(count, np.int64), "plant": np.zeros(count, np.int64),
        }
    )  # fmt: skip
