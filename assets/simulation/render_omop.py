"""Hospital h13: OMOP CDM 5.4 as Parquet, without any resident number.

Belongs here: CDM tables of true and planted records. Does not belong here: which records there are.
Source: OHDSI CDM 5.4 (ohdsi.github.io/CommonDataModel/cdm54.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.clinical import DAY_MINUTES
from assets.simulation.codes import UNKNOWN
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Array, Flags, Frame, Ints
from assets.simulation.identities import (
    PROVINCES,
    chart_numbers,
    patient_keys,
    person_numbers,
    record_numbers,
)
from assets.simulation.kernels import choose, either, render
from assets.simulation.render_emr import both_pressures
from assets.simulation.units import ALTERNATIVE, ALTERNATIVE_CONCEPT, at_limits, by_analyte, in_second_unit

SITE = "h13"
_EHR = 32817
_KOREAN = 38003585
_NOT_HISPANIC = 38003564
_OPERATORS = (0, 4171756, 4172704)
_VISITS = (9202, 9201, 9203)
_ROLE_CODES = {
    "visit": "visit_occurrence",
    "condition": "condition_occurrence",
    "drug": "drug_exposure",
    "procedure": "procedure_occurrence",
    "lab": "measurement",
    "vaccination": "drug_exposure",
    "allergy": "observation",
}
_ALLERGY_TO_DRUG = 439224

UNMAPPED_LAB = "uacr"
"""Analyte that the hospital never mapped: concept 0, source value H13-UACR (`assets/sites/h13.toml`)."""


def render_omop(chunk: Chunk, delivered: Mapping[str, Frame], roster: Frame) -> list[Rendered]:
    """All tables of the hospital for one chunk."""
    found = [_persons(chunk, roster), _deaths(chunk, roster), _periods(chunk, roster, delivered["visit"])]
    for entity, frame in delivered.items():
        found.append(_records(chunk, entity, frame))
    return [r for r in found if len(r.frame)]


def _numbers(values: Array, missing: Flags | None = None) -> pa.Array:
    return pa.array(values.astype(np.int64), mask=missing)


def _constant(value: int, count: int) -> pa.Array:
    return pa.array(np.full(count, value, dtype=np.int64))


def _dates(days: Ints, missing: Flags | None = None) -> pa.Array:
    return pa.array(days.astype(np.int32), mask=missing).cast(pa.date32())


def _times(minutes: Ints) -> pa.Array:
    return pa.array(minutes * 60_000_000).cast(pa.timestamp("us"))


def _persons(chunk: Chunk, roster: Frame) -> Rendered:
    frame = roster.take(roster["plant"] != NUMBER["death_update"])
    owner, people = frame["owner"], chunk.people
    keys = patient_keys(people, owner, frame["number"])
    born = people["birth"][owner].astype("datetime64[D]")
    month = born.astype("datetime64[M]")
    count = len(frame)
    province = pc.index_in(chunk.names["province"].take(pa.array(owner)), pa.array(PROVINCES))
    columns: dict[str, Any] = {
        "person_id": _numbers(person_numbers(keys, seed=chunk.seed, site=SITE)),
        "gender_concept_id": _numbers(np.where(people["female"][owner], 8532, 8507)),
        "year_of_birth": _numbers(born.astype("datetime64[Y]").astype(np.int64) + 1970),
        "month_of_birth": _numbers(month.astype(np.int64) % 12 + 1),
        "day_of_birth": _numbers((born - month).astype(np.int64) + 1),
        "birth_datetime": _times(people["birth"][owner] * DAY_MINUTES),
        "race_concept_id": _constant(_KOREAN, count),
        "ethnicity_concept_id": _constant(_NOT_HISPANIC, count),
        "location_id": pc.add(province.cast(pa.int64()), 1),
        "provider_id": pa.nulls(count, pa.int64()),
        "care_site_id": _constant(1, count),
        "person_source_value": render("H13-@n@", n=chart_numbers(keys, site=SITE)),
        "gender_source_value": choose(("M", "F"), people["female"][owner]),
    }
    return Rendered(
        "patient",
        "person.parquet",
        frame,
        pa.table(columns),
        pa.array(columns["person_id"]).cast(pa.string()),
    )


def _deaths(chunk: Chunk, roster: Frame) -> Rendered:
    frame = roster.take(roster["died"])
    keys = patient_keys(chunk.people, frame["owner"], frame["number"])
    day = chunk.people["death"][frame["owner"]]
    person = person_numbers(keys, seed=chunk.seed, site=SITE)
    table = pa.table(
        {
            "person_id": _numbers(person),
            "death_date": _dates(day),
            "death_type_concept_id": _constant(_EHR, len(frame)),
            "cause_concept_id": _constant(0, len(frame)),
        }
    )
    return Rendered(
        "death",
        "death.parquet",
        frame.having(plant=0 * frame["plant"]),
        table,
        _numbers(person).cast(pa.string()),
    )


def _periods(chunk: Chunk, roster: Frame, visit: Frame) -> Rendered:
    """Observation periods: one at registration, a longer version with every later delivery with a visit."""
    known = roster.take(roster["plant"] != NUMBER["death_update"])
    start_of = np.full((len(chunk.people), 2), NEVER, dtype=np.int64)
    start_of[known["owner"], known["number"]] = known["day"]
    first = (known["owner"] * 2 + known["number"]) * 16 + known["delivery"]
    own = visit.take(visit["number"] < 2)
    later = (own["owner"] * 2 + own["number"]) * 16 + own["delivery"]
    every = np.unique(np.concatenate([first, later]))
    owner, number, delivery = every // 32, every // 16 % 2, every % 16
    cutoff = np.array(chunk.country.cutoffs)[delivery]
    end = np.minimum(np.minimum(cutoff, chunk.people["death"][owner]), chunk.country.end)
    frame = Frame({"owner": owner, "number": number, "delivery": delivery, "plant": 0 * owner})
    order = np.argsort(delivery, kind="stable")
    keys = patient_keys(chunk.people, owner, number)
    table = pa.table(
        {
            "observation_period_id": _numbers(record_numbers(keys, seed=chunk.seed, site=SITE, entity="period")),
            "person_id": _numbers(person_numbers(keys, seed=chunk.seed, site=SITE)),
            "observation_period_start_date": _dates(np.minimum(start_of[owner, number], end)),
            "observation_period_end_date": _dates(end),
            "period_type_concept_id": _constant(_EHR, len(frame)),
        }
    )
    return Rendered("observation_period", "observation_period.parquet", frame.take(order), table.take(pa.array(order)))


def _records(chunk: Chunk, entity: str, frame: Frame) -> Rendered:
    table = _ROLE_CODES[entity]
    numbers = record_numbers(frame["id"], seed=chunk.seed, site=SITE, entity=entity)
    if entity == "lab":
        labs = chunk.codes.labs
        frame = both_pressures(frame, labs.number("sbp"), labs.number("dbp"))
        numbers = record_numbers(frame["id"] | (frame["second"].astype(np.int64) << 62), seed=chunk.seed, site=SITE, entity=entity)
    keys = patient_keys(chunk.people, frame["owner"], frame["number"])
    person = person_numbers(keys, seed=chunk.seed, site=SITE)
    plant = frame["plant"]
    columns: dict[str, Any] = {
        f"{table}_id": _numbers(numbers, plant == NUMBER["missing_id"]),
        "person_id": _numbers(person, plant == NUMBER["missing_person"]),
    }
    make = {
        "visit": _visits,
        "condition": _conditions,
        "drug": _drugs,
        "procedure": _procedures,
        "lab": _labs,
        "vaccination": _vaccinations,
        "allergy": _allergies,
    }[entity]
    columns |= make(chunk, frame)
    columns["provider_id"] = _numbers(frame["doctor"] + 1)
    if entity != "visit":
        visits = chunk.events.visit["id"][frame["visit"]]
        columns["visit_occurrence_id"] = _numbers(record_numbers(visits, seed=chunk.seed, site=SITE, entity="visit"))
    return Rendered(entity, f"{table}.parquet", frame, pa.table(columns), _numbers(numbers).cast(pa.string()))


def _visits(chunk: Chunk, frame: Frame) -> dict[str, Any]:
    keys = patient_keys(chunk.people, frame["owner"], frame["number"])
    return {
        "visit_concept_id": _numbers(np.array(_VISITS)[frame["kind"]]),
        "visit_start_date": _dates(frame["start"] // DAY_MINUTES),
        "visit_start_datetime": _times(frame["start"]),
        "visit_end_date": _dates(frame["end"] // DAY_MINUTES),
        "visit_end_datetime": _times(frame["end"]),
        "visit_type_concept_id": _constant(_EHR, len(frame)),
        "care_site_id": _numbers(frame["department"] + 1),
        "visit_source_value": chart_numbers(keys, site=SITE),
        "visit_source_concept_id": _constant(0, len(frame)),
    }


def _concept(frame: Frame, concepts: Array) -> pa.Array:
    return _numbers(np.where(frame["plant"] == NUMBER["unknown_code"], 0, concepts[frame["code"]]))


def _source(frame: Frame, codes: list[str], unknown: str) -> pa.StringArray:
    return choose([*codes, unknown], np.where(frame["plant"] == NUMBER["unknown_code"], len(codes), frame["code"]))


def _conditions(chunk: Chunk, frame: Frame) -> dict[str, Any]:
    codes = chunk.codes.conditions
    return {
        "condition_concept_id": _concept(frame, np.array(codes["omop"])),
        "condition_start_date": _dates(frame["day"], frame["plant"] == NUMBER["missing_date"]),
        "condition_type_concept_id": _constant(_EHR, len(frame)),
        "condition_status_concept_id": _numbers(np.where(frame["primary"], 32902, 32908)),
        "condition_source_value": _source(frame, list(codes["kcd"]), UNKNOWN["condition"]["kcd"]),
        "condition_source_concept_id": _constant(0, len(frame)),
    }


def _drugs(chunk: Chunk, frame: Frame) -> dict[str, Any]:
    codes = chunk.codes.drugs
    return {
        "drug_concept_id": _concept(frame, np.array(codes["omop"])),
        "drug_exposure_start_date": _dates(frame["day"]),
        "drug_exposure_end_date": _dates(frame["day"] + frame["days"] - 1),
        "drug_type_concept_id": _constant(_EHR, len(frame)),
        "quantity": pa.array((frame["days"] * frame["per_day"]).astype(np.float64)),
        "days_supply": _numbers(frame["days"]),
        "drug_source_value": _source(frame, list(codes["edi"]), UNKNOWN["drug"]["edi"]),
        "drug_source_concept_id": _constant(0, len(frame)),
    }


def _procedures(chunk: Chunk, frame: Frame) -> dict[str, Any]:
    codes = chunk.codes.procedures
    return {
        "procedure_concept_id": _concept(frame, np.array(codes["omop"])),
        "procedure_date": _dates(frame["minute"] // DAY_MINUTES),
        "procedure_datetime": _times(frame["minute"]),
        "procedure_type_concept_id": _constant(_EHR, len(frame)),
        "procedure_source_value": _source(frame, list(codes["edi"]), "Z9999"),
        "procedure_source_concept_id": _constant(0, len(frame)),
    }


def _vaccinations(chunk: Chunk, frame: Frame) -> dict[str, Any]:
    """Vaccinations are drugs of one day in OMOP; the columns are those of `_drugs`, for both stand in one file."""
    codes, day = chunk.codes.vaccines, frame["minute"] // DAY_MINUTES
    return {
        "drug_concept_id": _numbers(np.array(codes["omop"])[frame["code"]]),
        "drug_exposure_start_date": _dates(day),
        "drug_exposure_end_date": _dates(day),
        "drug_type_concept_id": _constant(_EHR, len(frame)),
        "quantity": pa.array(np.full(len(frame), 0.5)),
        "days_supply": _constant(1, len(frame)),
        "drug_source_value": choose(codes["cvx"], frame["code"]),
        "drug_source_concept_id": _constant(0, len(frame)),
    }


def _allergies(chunk: Chunk, frame: Frame) -> dict[str, Any]:
    codes, code = chunk.codes.allergens, frame["code"]
    return {
        "observation_concept_id": _constant(_ALLERGY_TO_DRUG, len(frame)),
        "observation_date": _dates(frame["day"]),
        "observation_type_concept_id": _constant(_EHR, len(frame)),
        "value_as_concept_id": _numbers(np.array(codes["omop"])[code]),
        "observation_source_value": choose(codes["rxnorm"], code),
        "observation_source_concept_id": _constant(0, len(frame)),
    }


def _labs(chunk: Chunk, frame: Frame) -> dict[str, Any]:
    codes, labs = chunk.codes, chunk.codes.labs
    own = labs.number(UNMAPPED_LAB)
    concepts = np.array(labs["omop"])
    concepts[own] = 0
    sources = [code if i != own else "H13-UACR" for i, code in enumerate(labs["loinc"])]
    comparator, value = at_limits(codes, frame["code"], frame["value"], frame["site"])
    second = frame["plant"] == NUMBER["unit_other"]
    unit = np.where(
        second,
        by_analyte(codes, ALTERNATIVE_CONCEPT, 0)[frame["code"]],
        np.array(labs["unit_omop"])[frame["code"]],
    )
    unit_text = either(
        second,
        choose(list(by_analyte(codes, ALTERNATIVE, "")), frame["code"]),
        choose(labs["unit"], frame["code"]),
    )
    return {
        "measurement_concept_id": _concept(frame, concepts),
        "measurement_date": _dates(frame["minute"] // DAY_MINUTES),
        "measurement_datetime": _times(frame["minute"]),
        "measurement_type_concept_id": _constant(_EHR, len(frame)),
        "operator_concept_id": _numbers(np.array(_OPERATORS)[comparator], comparator == 0),
        "value_as_number": pa.array(in_second_unit(codes, frame["code"], value, second)),
        "unit_concept_id": _numbers(unit),
        "measurement_source_value": _source(frame, sources, UNKNOWN["lab"]["loinc"]),
        "measurement_source_concept_id": _constant(0, len(frame)),
        "unit_source_value": unit_text,
    }
