"""What is measured outside of hospitals' records: data points of wearables, and series of images.

Belongs here: true data points and instances of the people known to w11 and h16, and the errors planted among them. Does not belong here: formats.
"""

from __future__ import annotations

import numpy as np

from assets.simulation.clinical import DAY_MINUTES
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Frame, Ints, between
from assets.simulation.physiology import measured_values
from assets.simulation.setting import Setting

HEART_RATE, BLOOD_PRESSURE, BODY_WEIGHT, STEP_COUNT, BLOOD_GLUCOSE = range(5)
MEASURES = ("heart_rate", "blood_pressure", "body_weight", "step_count", "blood_glucose")
OFFSETS = (540, 0, -300)
"""Minutes from UTC that devices write: at home, devices that know only UTC, abroad."""
MODALITIES = ("CR", "CT", "MR", "US")
BODY_PARTS = ("CHEST", "ABDOMEN", "HEAD", "KIDNEY")
_DAYS = 4
_BEGIN = 365
"""Data points and images lie in the last so many days of the horizon."""


def make_points(setting: Setting, people: Frame, course: Frame) -> Frame:
    """Data points of some days of everybody who wears a device.

    Returns:
        `owner`, `id`, `measure` (number in MEASURES), `minute` (Korean clock), `value` and `value2` in the standard unit (beats/min, mmHg, kg,
        steps, mg/dL), `other_unit`, `offset` (minutes from UTC as written), `delivery`, `plant`.
    """
    rng, codes, end = setting.stream("points"), setting.codes, setting.country.end
    last = np.minimum(people["death"] - 1, end)
    first = np.maximum(people["birth"] + 30, end - _BEGIN)
    wearing = np.flatnonzero(people["wears"] & (last > first))
    owner = np.repeat(wearing, _DAYS)
    day = between(rng, first[owner], last[owner])
    owner, day, measure = (np.repeat(owner, len(MEASURES)), np.repeat(day, len(MEASURES)), np.tile(np.arange(len(MEASURES)), len(owner)))
    kept = (measure != BLOOD_GLUCOSE) | (course["t2dm"][owner] <= day) | (rng.random(len(owner)) < 0.2)
    owner, day, measure = owner[kept], day[kept], measure[kept]
    count, minute = len(owner), day * DAY_MINUTES + rng.integers(0, DAY_MINUTES, len(owner))
    analyte = np.where(measure == BLOOD_GLUCOSE, codes.labs.number("glucose"), codes.labs.number("sbp"))
    read, second = measured_values(rng, codes, people.take(owner), course.take(owner), day=day, analyte=analyte)
    weight = np.round(np.where(people["female"][owner], 58, 71) + 4 * rng.normal(0, 1, count), 1)
    others = {HEART_RATE: np.round(68 + 9 * rng.normal(0, 1, count)), BODY_WEIGHT: weight, STEP_COUNT: rng.integers(800, 15_000, count)}
    value = read
    for which, number in others.items():
        value = np.where(measure == which, number, value)
    frame = Frame(
        {
            "owner": owner, "id": setting.ids(count), "measure": measure, "minute": minute, "value": value, "value2": second,
            "other_unit": rng.random(count) < 0.25, "offset": np.array(OFFSETS)[rng.choice(3, count, p=(0.8, 0.15, 0.05))],
            "delivery": setting.country.delivery_of(day), "plant": np.zeros(count, dtype=np.int64),
        }
    )  # fmt: skip
    return _planted(setting, frame, "points", ("point_unit", "point_time", "point_schema", "point_nobody"), "point_again")


def make_images(setting: Setting, people: Frame) -> Frame:
    """Instances of one or two series of everybody who is imaged.

    Returns:
        One row an instance: `owner`, `id`, `series` and `study` (numbers of their own), `instance` (from 1), `day`, `modality`, `part`, `delivery`, `plant`.
    """
    rng, end = setting.stream("images"), setting.country.end
    last = np.minimum(people["death"] - 1, end)
    first = np.maximum(people["birth"] + 30, end - _BEGIN)
    imaged = np.flatnonzero(people["imaged"] & (last > first))
    owner = np.repeat(imaged, rng.integers(1, 3, len(imaged)))
    series = setting.ids(len(owner))
    day, modality = between(rng, first[owner], last[owner]), rng.integers(0, len(MODALITIES), len(owner))
    row = np.repeat(np.arange(len(owner)), rng.integers(1, 4, len(owner)))
    instance = np.arange(len(row)) - np.searchsorted(row, row) + 1
    plant = np.where(modality == MODALITIES.index("US"), NUMBER["image_burned_in"], 0)  # screens of ultrasound show the name
    frame = Frame(
        {
            "owner": owner[row], "id": setting.ids(len(row)), "series": series[row], "study": series[row], "instance": instance, "day": day[row],
            "modality": modality[row], "part": modality[row], "delivery": setting.country.delivery_of(day[row]), "plant": plant[row],
        }
    )  # fmt: skip
    return _planted(setting, frame, "images", ("image_nobody", "image_no_series", "image_date"), "image_again")


def _planted(setting: Setting, frame: Frame, name: str, refused: tuple[str, ...], again: str) -> Frame:
    """The rows and false copies of some, in order of delivery. Refused copies have numbers of their own; those sent again have not."""
    rng, rate = setting.stream(f"errors/{name}"), setting.country.small_sites["damaged_record"]
    sound, parts, made = np.flatnonzero(frame["plant"] == 0), [frame], 0
    for kind in (*refused, again):
        count = min(max(int(rng.binomial(len(sound), rate)), int(setting.chunk == 0)), len(sound))
        copies = frame.take(np.sort(rng.choice(sound, count, replace=False))).having(plant=NUMBER[kind])
        if kind != again:
            ids: Ints = setting.extra_ids(made, count)
            copies, made = copies.having(id=ids), made + count
        parts.append(copies)
    every = Frame.concat(parts)
    return every.take(np.argsort(every["delivery"], kind="stable"))
