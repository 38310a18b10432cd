"""Wearables of w11: Open mHealth data points, NDJSON, in the units and time zones that devices write.

Belongs here: data points as text. Does not belong here: which there are (`devices`), what the standard allows (`assets/formats/omh_schemas`).
Source: openmhealth/schemas heart-rate 2.0, blood-pressure 3.1, body-weight 2.0, step-count 3.0, blood-glucose 3.0, header of data-point 1.0.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.clinical import DAY_MINUTES
from assets.simulation.devices import BLOOD_GLUCOSE, BLOOD_PRESSURE, BODY_WEIGHT, OFFSETS, STEP_COUNT
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Frame, Ints, surrogate
from assets.simulation.identities import patient_keys, patient_texts
from assets.simulation.kernels import choose, either, hexadecimal, minute_text, number_text, render

SITE = "w11"
_KOREA = 540
_ZONES = {540: "+09:00", 0: "Z", -300: "-05:00"}
_POINT = (
    '{"header":{"id":"@id@","creation_date_time":"@made@","schema_id":{"namespace":"omh","name":"@schema@","version":"@version@"},'
    '"acquisition_provenance":{"source_name":"@name@의 시계","modality":"sensed"}@user@},"body":{@body@,"effective_time_frame":{@frame@}}}\n'
)
_BODIES = (
    '"heart_rate":{"value":@v@,"unit":"beats/min"}',
    '"systolic_blood_pressure":{"value":@v@,"unit":"mmHg"},"diastolic_blood_pressure":{"value":@w@,"unit":"mmHg"}',
    '"body_weight":{"value":@v@,"unit":"@u@"}',
    '"step_count":{"value":@v@,"unit":"steps"}',
    '"blood_glucose":{"value":@v@,"unit":"@u@"}',
)
_SCHEMAS = (("heart-rate", "2.0"), ("blood-pressure", "3.1"), ("body-weight", "2.0"), ("step-count", "3.0"), ("blood-glucose", "3.0"))
_WRONG_UNIT = '"heart_rate":{"value":@v@,"unit":"bpm"}'


def render_points(chunk: Chunk, frame: Frame) -> Rendered:
    """Data points of one chunk. The planted wrong unit is that of a heart rate, whatever the copy measured."""
    owner, measure, plant = frame["owner"], frame["measure"], frame["plant"]
    ids = render("dp-@i@", i=hexadecimal(surrogate(frame["id"], seed=chunk.seed, scope="w11/point")))
    user = patient_texts(patient_keys(chunk.people, owner, 0 * owner), seed=chunk.seed, site=SITE)
    wrong = plant == NUMBER["point_unit"]
    schema, version = (choose([s[i] for s in _SCHEMAS], np.where(wrong, 0, measure)) for i in (0, 1))
    lines = render(
        _POINT,
        id=ids,
        made=_instant(frame["minute"] + 30, frame["offset"]),
        schema=either(plant == NUMBER["point_schema"], "mood-ring", schema),
        version=version,
        name=chunk.names["name"].take(pa.array(owner)),
        user=either(plant == NUMBER["point_nobody"], "", render(',"user_id":"@u@"', u=user)),
        body=_bodies(frame, wrong),
        frame=_frames(frame),
    )
    return Rendered("point", "points.{part:03d}.ndjson", frame, lines, ids)


def _bodies(frame: Frame, wrong: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pa.StringArray:
    measure, other = frame["measure"], frame["other_unit"]
    pounds, millimoles = (measure == BODY_WEIGHT) & other, (measure == BLOOD_GLUCOSE) & other
    value = np.where(pounds, frame["value"] / 0.45359237, np.where(millimoles, frame["value"] / 18.016, frame["value"]))
    unit = choose(("kg", "lb", "mg/dL", "mmol/L"), 2 * (measure == BLOOD_GLUCOSE) + other)
    number, second = number_text(value, 2), number_text(frame["value2"], 0)
    options = [render(body, v=number, w=second, u=unit) for body in (*_BODIES, _WRONG_UNIT)]
    found = options[0]
    for which, text in enumerate(options[1:], 1):
        found = either((measure == which) if which < len(_BODIES) else wrong, text, found)
    return found


def _frames(frame: Frame) -> pa.StringArray:
    """An instant; for steps the day up to it, for the others a point that is no time where that is planted."""
    minute, offset = frame["minute"], frame["offset"]
    at = either(frame["plant"] == NUMBER["point_time"], "2026-02-30T08:00:00", _instant(minute, offset))
    midnight = _instant(minute // DAY_MINUTES * DAY_MINUTES, offset)
    interval = render('"time_interval":{"start_date_time":"@s@","end_date_time":"@e@"}', s=midnight, e=at)
    return either(frame["measure"] == STEP_COUNT, interval, render('"date_time":"@a@"', a=at))


def _instant(minutes: Ints, offset: Ints) -> pa.StringArray:
    """Korean wall clock as RFC 3339 on the clock of each device."""
    local = minute_text(minutes - _KOREA + offset)
    return render("@t@@z@", t=local, z=choose([_ZONES[o] for o in OFFSETS], np.searchsorted(-np.array(OFFSETS), -offset)))


__all__ = ["BLOOD_PRESSURE", "render_points"]
