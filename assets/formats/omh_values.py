"""What leaves the parser of a sound Open mHealth data point, by the paths that the allow-list uses.

Belongs here: values of the body, the closed list of acquisition sources and activities. Does not belong here: judging (`omh_schemas`), files (`omh`).

Paths of the rules: `header.id`, `header.user_id`, `header.schema_id.namespace|name|version`, `header.creation_date_time`, `header.modality`,
`header.acquisition_source`, `body.measure`, `body.value`, `body.unit`, `body.components`, `body.activity`, `body.is_main_sleep`, `body.statistic_denominator`, `time.<field of TimeFrame>`, `code.<coded field of the body>`.
Free text (notes, names of medicines, metadata of HealthKit, reasons) and positions have no path: no rule can let them pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from assets.formats.omh_schemas import Schema, Violation, known_units
from assets.formats.omh_times import parse_instant, read_frame
from assets.formats.reasons import Reason

_SYSTEM = "open_mhealth"
_SOURCES = {
    "runkeeper": "runkeeper", "fitbit": "fitbit", "apple": "apple_health", "healthkit": "apple_health", "google fit": "google_fit",
    "health connect": "health_connect", "samsung": "samsung_health", "garmin": "garmin", "withings": "withings", "nokia": "withings",
    "oura": "oura", "dexcom": "dexcom", "libre": "freestyle_libre", "ihealth": "ihealth", "omron": "omron", "polar": "polar", "strava": "strava",
    "whoop": "whoop", "misfit": "misfit", "jawbone": "jawbone", "moves": "moves", "xiaomi": "xiaomi", "mi fit": "xiaomi", "huawei": "huawei",
}  # fmt: skip
"""Words of a source name -> product. The name itself does not pass: people write their own name into it ("Anna's watch", serial numbers)."""
_SOURCE_WORD = re.compile(r"\b(" + "|".join(re.escape(w) for w in _SOURCES) + r")", re.I)

_ACTIVITY_WORDS = """
    walking running jogging cycling biking swimming hiking rowing yoga pilates dancing skiing skating climbing tennis badminton golf soccer
    football basketball baseball volleyball boxing aerobics elliptical treadmill stretching gardening sitting standing lying sleeping
    sedentary in_vehicle still tilting
"""
_ACTIVITIES = frozenset(_ACTIVITY_WORDS.split())
_HK_TYPE = re.compile(r"HKQuantityTypeIdentifier[A-Za-z0-9]{1,40}", re.A)
_HK_ACTIVITY = "hkworkoutactivitytype"


def facts_of(header: Mapping[str, Any], body: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Values by path.

    Args:
        header: Of a data point that holds its schemas.
        body: Of the same.
        schema: Of the body.

    Raises:
        Violation: A duration leads out of the calendar.
    """
    frame = read_frame(body.get("effective_time_frame"))
    if frame is None:
        raise Violation(Reason.INVALID_TIME_FRAME, "$.body.effective_time_frame.time_interval.duration")
    schema_id, provenance = header["schema_id"], header.get("acquisition_provenance") or {}
    held = body if schema.inside is None else body[schema.inside]
    measured = [(_measure(m.name, held), *_number(held[m.name], m.unit)) for m in schema.measures if m.name in held]
    measured += [found for sample in body.get(schema.samples or "", ()) if (found := _sample(sample)) is not None]
    created = parse_instant(header.get("creation_date_time") or header.get("source_creation_date_time") or "")
    facts = {
        "header.id": header.get("id") or header.get("uuid"),
        "header.user_id": header.get("user_id"),
        "header.schema_id.namespace": schema_id["namespace"],
        "header.schema_id.name": schema_id["name"],
        "header.schema_id.version": schema_id["version"],
        "header.creation_date_time": created,
        "header.modality": provenance.get("modality") or header.get("modality"),
        "header.acquisition_source": _source(provenance.get("source_name")),
        "body.measure": measured[0][0] if len(measured) == 1 else None,
        "body.value": measured[0][1] if len(measured) == 1 else None,
        "body.unit": measured[0][2] if len(measured) == 1 else None,
        "body.components": [_component(*m) for m in measured] if len(measured) > 1 else None,
        "body.activity": _activity(body.get("activity_name")),
        "body.is_main_sleep": body.get("is_main_sleep"),
        "body.statistic_denominator": _denominator(held.get("descriptive_statistic_denominator")),
        **{f"time.{name}": value for name, value in vars(frame).items()},
    }
    return facts | {f"code.{name}": held.get(name) for name in schema.codes}


def _number(value: Any, unit: str | None) -> tuple[float, str | None]:
    """(number, unit) of a quantity or of a bare number. HealthKit lets any text be a unit: only those that some schema lists pass."""
    if not isinstance(value, dict):
        return float(value), unit
    return float(value["value"]), value["unit"] if value["unit"] in known_units() else None


def _measure(name: str, body: Mapping[str, Any]) -> str:
    """What a number measures: the field it stands in, or for HealthKit the type that the sample names."""
    kind = body.get("quantity_type") if name in ("unit_value", "count") else None
    return kind if isinstance(kind, str) and _HK_TYPE.fullmatch(kind) else name


def _sample(sample: Mapping[str, Any]) -> tuple[str, float, str | None] | None:
    """The number of a HealthKit sample within a correlation; None where its type is free text, which must not pass."""
    field = "unit_value" if "unit_value" in sample else "count"
    name = _measure(field, sample)
    return (name, *_number(sample[field], "count")) if name != field else None


def _component(name: str, number: float, unit: str | None) -> dict[str, Any]:
    return {"system": _SYSTEM, "code": name, "value_number": number, "value_unit": unit}


def _source(name: str | None) -> str | None:
    if not name:
        return None
    found = _SOURCE_WORD.search(name)
    return _SOURCES[found.group(1).lower()] if found else "other"


def _activity(name: str | None) -> str | None:
    """A known activity, else `other`: the field is free text."""
    if not name:
        return None
    word = name.lower().removeprefix(_HK_ACTIVITY).strip()
    return word if word in _ACTIVITIES else "other"


def _denominator(text: str | None) -> str | None:
    """The standard lets any text stand here; only its own codes pass."""
    return text if text in ("d", "wk", "Mo", "episode", "meal", "session") else None
