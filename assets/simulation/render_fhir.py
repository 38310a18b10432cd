"""Hospital h11: FHIR R4 NDJSON, one resource type a file, as a bulk export.

Belongs here: resources of true and planted records as lines of JSON. Does not belong here: which records
there are.
Source: HL7 FHIR 4.0.1; KR Core 2.0.0 for code system URIs; Bulk Data 2.0 section 2.5 for deleted resources.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.clinical import DEPARTMENTS
from assets.simulation.codes import UNKNOWN
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Frame
from assets.simulation.identities import chart_numbers, patient_keys, patient_texts, record_texts
from assets.simulation.kernels import choose, day_text, digits, either, minute_text, number_text, render
from assets.simulation.units import ALTERNATIVE, COMPARATORS, at_limits, by_analyte, in_second_unit

SITE = "h11"
_TYPES = {
    "visit": "Encounter",
    "condition": "Condition",
    "drug": "MedicationRequest",
    "lab": "Observation",
    "procedure": "Procedure",
    "vaccination": "Immunization",
    "allergy": "AllergyIntolerance",
}
_ZONE = "+09:00"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_SUBJECT = '"subject":{"reference":"Patient/@patient@"},'
_ENCOUNTER = '"encounter":{"reference":"Encounter/@encounter@"}'

_PATIENT = (
    '{"resourceType":"Patient","id":"@id@","identifier":[{"use":"official","system":"@rrn_system@","value":"@rrn@"},'
    '{"use":"usual","system":"@mrn_system@","value":"@mrn@"}],"active":true,'
    '"name":[{"use":"official","text":"@name@","family":"@family@","given":["@given@"]},{"use":"usual","text":"@roman@"}],'
    '"telecom":[{"system":"phone","value":"@phone@","use":"mobile"}],"gender":"@gender@","birthDate":"@birth@",@deceased@'
    '"address":[{"text":"@province@ @city@ @line@","line":["@line@"],"city":"@city@","state":"@province@",'
    '"country":"KR"}]}\n'
)
_VISIT = (
    '{"resourceType":"Encounter","id":"@id@","status":"finished","class":{"system":"'
    + _TERMINOLOGY
    + '/v3-ActCode","code":"@class@"},"subject":{"reference":"Patient/@patient@","display":"@name@"},'
    '"participant":[{"individual":{"reference":"Practitioner/doc-@doctor@"}}],'
    '"period":{"start":"@start@","end":"@end@"},"serviceProvider":{"reference":"Organization/org-@department@"}}\n'
)
_CONDITION = (
    '{"resourceType":"Condition",@id@@status@"category":[{"coding":[{"system":"'
    + _TERMINOLOGY
    + '/condition-category","code":"encounter-diagnosis"}]}],"code":{@code@},@subject@'
    + _ENCOUNTER
    + ',"onsetDateTime":"@day@","recordedDate":"@day@"}\n'
)
_DRUG = (
    '{"resourceType":"MedicationRequest","id":"@id@","status":"completed","intent":"order","medicationCodeableConcept":{@code@},@subject@'
    + _ENCOUNTER
    + ',"authoredOn":"@day@","requester":{"reference":"Practitioner/doc-@doctor@"},'
    '"dosageInstruction":[{"timing":{"repeat":{"frequency":@per_day@,"period":1,"periodUnit":"d"}},'
    '"doseAndRate":[{"doseQuantity":{"value":1,"unit":"{tbl}"}}]}],'
    '"dispenseRequest":{"quantity":{"value":@quantity@},"expectedSupplyDuration":{"value":@days@,"unit":"d"}}}\n'
)
_PROCEDURE = (
    '{"resourceType":"Procedure","id":"@id@","status":"completed","code":{@code@},@subject@' + _ENCOUNTER + ',"performedDateTime":"@at@"}\n'
)
_LAB = (
    '{"resourceType":"Observation","id":"@id@","status":"final","category":[{"coding":[{"system":"'
    + _TERMINOLOGY
    + '/observation-category","code":"@category@"}]}],"code":{@code@},@subject@'
    + _ENCOUNTER
    + ',"effectiveDateTime":"@at@",@result@}\n'
)
_VACCINATION = (
    '{"resourceType":"Immunization","id":"@id@","status":"completed","vaccineCode":{@code@},"patient":{"reference":"Patient/@patient@"},'
    + _ENCOUNTER
    + ',"occurrenceDateTime":"@at@"}\n'
)
_ALLERGY = (
    '{"resourceType":"AllergyIntolerance","id":"@id@","clinicalStatus":{"coding":[{"system":"'
    + _TERMINOLOGY
    + '/allergyintolerance-clinical","code":"active"}]},"verificationStatus":{"coding":[{"system":"'
    + _TERMINOLOGY
    + '/allergyintolerance-verification","code":"confirmed"}]},"type":"allergy","category":["medication"],"code":{@code@},'
    '"patient":{"reference":"Patient/@patient@"},' + _ENCOUNTER + ',"onsetDateTime":"@day@","recordedDate":"@day@"}\n'
)
_QUANTITY = '"valueQuantity":{"value":@value@,@comparator@"unit":"@unit@","system":"@ucum@","code":"@unit@"}'
_PRESSURE = (
    '"component":[{"code":{"coding":[{"system":"@loinc@","code":"8480-6"}]},"valueQuantity":{"value":@systolic@,"unit":"mmHg",'
    '"system":"@ucum@","code":"mm[Hg]"}},{"code":{"coding":[{"system":"@loinc@","code":"8462-4"}]},"valueQuantity":{"value":@diastolic@,'
    '"unit":"mmHg","system":"@ucum@","code":"mm[Hg]"}}]'
)
_TOMBSTONE = '{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"@type@/@id@"}}]}\n'


def render_fhir(chunk: Chunk, delivered: Mapping[str, Frame], roster: Frame) -> list[Rendered]:
    """All files of the hospital for one chunk."""
    found = [_patients(chunk, roster)]
    tombstones: list[Rendered] = []
    for entity, frame in delivered.items():
        gone = frame["plant"] == NUMBER["delete_notice"]
        if gone.any():
            tombstones.append(_tombstones(frame.take(gone), entity, chunk))
        found.append(_records(chunk, entity, frame.take(~gone)))
    return found + tombstones


def fixed_files(chunk: Chunk) -> list[Rendered]:
    """Organizations and practitioners, sent once."""
    organizations = [
        {
            "resourceType": "Organization",
            "id": f"org-{name}",
            "name": f"모의대학병원 {name}",
            "address": [{"state": "서울특별시", "country": "KR"}],
        }
        for name in DEPARTMENTS
    ]
    practitioners = [
        {
            "resourceType": "Practitioner",
            "id": f"doc-{i:02d}",
            "identifier": [{"system": "urn:biodam:h11:licence", "value": f"{70000 + i}"}],
            "name": [{"text": chunk.names["name"][i % len(chunk.names)].as_py()}],
            "gender": ("male", "female")[i % 2],
        }
        for i in range(40)
    ]
    return [_listed("Organization", organizations), _listed("Practitioner", practitioners)]


def _listed(kind: str, resources: Sequence[Mapping[str, object]]) -> Rendered:
    lines = [json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in resources]
    frame = Frame({name: np.zeros(len(lines), dtype=np.int64) for name in ("owner", "delivery", "plant")})
    return Rendered(kind.lower(), f"{kind}.{{part:03d}}.ndjson", frame, pa.array(lines, pa.string()))


def _records(chunk: Chunk, entity: str, frame: Frame) -> Rendered:
    ids = record_texts(frame["id"], seed=chunk.seed, site=SITE, entity=entity)
    patient = patient_texts(patient_keys(chunk.people, frame["owner"], frame["number"]), seed=chunk.seed, site=SITE)
    without = frame["plant"] == NUMBER["missing_person"]
    columns = {
        "id": ids,
        "patient": patient,
        "subject": either(without, "", render(_SUBJECT, patient=patient)),
        "doctor": digits(frame["doctor"], 2),
    }
    if entity != "visit":
        visits = chunk.events.visit["id"][frame["visit"]]
        columns["encounter"] = record_texts(visits, seed=chunk.seed, site=SITE, entity="visit")
    make = {
        "visit": _visits,
        "condition": _conditions,
        "drug": _drugs,
        "procedure": _procedures,
        "lab": _labs,
        "vaccination": _vaccinations,
        "allergy": _allergies,
    }[entity]
    lines = make(chunk, frame, columns)
    return Rendered(entity, f"{_TYPES[entity]}.{{part:03d}}.ndjson", frame, lines, ids)


def _patients(chunk: Chunk, roster: Frame) -> Rendered:
    owner, people, names = roster["owner"], chunk.people, chunk.names
    keys = patient_keys(people, owner, roster["number"])
    ids = patient_texts(keys, seed=chunk.seed, site=SITE)
    died = np.where(roster["died"], people["death"][owner], NEVER)
    row = pa.array(owner)
    lines = render(
        _PATIENT.replace("@rrn_system@", chunk.codes.systems["rrn"]).replace("@mrn_system@", chunk.codes.systems["h11_mrn"]),
        id=ids,
        rrn=chunk.resident.take(row),
        mrn=chart_numbers(keys, site=SITE),
        gender=choose(("male", "female"), people["female"][owner]),
        birth=day_text(people["birth"][owner]),
        deceased=either(died < NEVER, render('"deceasedDateTime":"@d@",', d=day_text(died)), ""),
        **{name: names[name].take(row) for name in ("name", "family", "given", "roman", "phone", "province", "city", "line")},
    )
    return Rendered("patient", "Patient.{part:03d}.ndjson", roster, lines, ids)


def _visits(chunk: Chunk, frame: Frame, columns: dict[str, pa.StringArray]) -> pa.StringArray:
    return render(
        _VISIT,
        **columns,
        **{
            "class": choose(("AMB", "IMP", "EMER"), frame["kind"]),
            "name": chunk.names["name"].take(pa.array(frame["owner"])),
            "start": minute_text(frame["start"], zone=_ZONE),
            "end": minute_text(frame["end"], zone=_ZONE),
            "department": choose(DEPARTMENTS, frame["department"]),
        },
    )


def _codings(first: tuple[str, Sequence[str]], second: tuple[str, Sequence[str]], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Per code: the content of a CodeableConcept with both codings, and with the first alone."""
    both, alone = [], []
    for one, two, name in zip(first[1], second[1], names, strict=True):
        lead = {"system": first[0], "code": str(one), "display": name}
        more = [{"system": second[0], "code": str(two)}] if two else []
        alone.append(json.dumps({"coding": [lead], "text": name}, ensure_ascii=False, separators=(",", ":"))[1:-1])
        both.append(json.dumps({"coding": [lead, *more], "text": name}, ensure_ascii=False, separators=(",", ":"))[1:-1])
    return both, alone


def _coded(frame: Frame, both: list[str], alone: list[str], unknown: str, every: int) -> pa.StringArray:
    """Both codings on every n-th record, by record number so that versions agree."""
    code = np.where(
        frame["plant"] == NUMBER["unknown_code"],
        2 * len(both),
        frame["code"] + len(both) * (frame["id"] % every != 0),
    )
    return choose([*both, *alone, unknown], code)


def _unknown(system: str, code: str) -> str:
    return json.dumps({"coding": [{"system": system, "code": code}]}, separators=(",", ":"))[1:-1]


def _conditions(chunk: Chunk, frame: Frame, columns: dict[str, pa.StringArray]) -> pa.StringArray:
    codes, systems = chunk.codes.conditions, chunk.codes.systems
    both, alone = _codings((systems["kcd"], codes["kcd"]), (systems["snomed"], codes["snomed"]), codes["name"])
    verification = '"verificationStatus":{"coding":[{"system":"' + _TERMINOLOGY + '/condition-ver-status","code":"@v@"}]},'
    clinical = '"clinicalStatus":{"coding":[{"system":"' + _TERMINOLOGY + '/condition-clinical","code":"active"}]},'
    retracted = verification.replace("@v@", "entered-in-error")
    columns["code"] = _coded(frame, both, alone, _unknown(systems["kcd"], UNKNOWN["condition"]["kcd"]), 2)
    columns["status"] = either(frame["removed"], retracted, clinical + verification.replace("@v@", "confirmed"))
    columns["day"] = either(frame["plant"] == NUMBER["impossible_date"], "2023-02-30", day_text(frame["day"]))
    columns["id"] = either(frame["plant"] == NUMBER["missing_id"], "", render('"id":"@id@",', id=columns["id"]))
    return render(_CONDITION, **columns)


def _drugs(chunk: Chunk, frame: Frame, columns: dict[str, pa.StringArray]) -> pa.StringArray:
    codes, systems = chunk.codes.drugs, chunk.codes.systems
    both, alone = _codings((systems["rxnorm"], codes["rxnorm"]), (systems["edi_drug"], codes["edi"]), codes["name"])
    columns["code"] = _coded(frame, both, alone, _unknown(systems["rxnorm"], UNKNOWN["drug"]["rxnorm"]), 3)
    columns["day"] = day_text(frame["day"])
    columns["days"] = number_text(frame["days"], 0)
    columns["per_day"] = number_text(frame["per_day"], 0)
    columns["quantity"] = number_text(frame["days"] * frame["per_day"], 0)
    return render(_DRUG, **columns)


def _procedures(chunk: Chunk, frame: Frame, columns: dict[str, pa.StringArray]) -> pa.StringArray:
    codes, systems = chunk.codes.procedures, chunk.codes.systems
    both, _ = _codings((systems["snomed"], codes["snomed"]), (systems["edi_procedure"], codes["edi"]), codes["name"])
    return render(_PROCEDURE, **columns, code=choose(both, frame["code"]), at=minute_text(frame["minute"], zone=_ZONE))


def _vaccinations(chunk: Chunk, frame: Frame, columns: dict[str, pa.StringArray]) -> pa.StringArray:
    codes, cvx = chunk.codes.vaccines, chunk.codes.systems["cvx"]
    options = [*(_unknown(cvx, code) for code in codes["cvx"]), _unknown(cvx, UNKNOWN["vaccination"]["cvx"])]
    code = np.where(frame["plant"] == NUMBER["unknown_code"], len(codes), frame["code"])
    return render(_VACCINATION, **columns, code=choose(options, code), at=minute_text(frame["minute"], zone=_ZONE))


def _allergies(chunk: Chunk, frame: Frame, columns: dict[str, pa.StringArray]) -> pa.StringArray:
    codes, rxnorm = chunk.codes.allergens, chunk.codes.systems["rxnorm"]
    options = [_unknown(rxnorm, code) for code in codes["rxnorm"]]
    return render(_ALLERGY, **columns, code=choose(options, frame["code"]), day=day_text(frame["day"]))


def _labs(chunk: Chunk, frame: Frame, columns: dict[str, pa.StringArray]) -> pa.StringArray:
    codes, systems, labs = chunk.codes, chunk.codes.systems, chunk.codes.labs
    pressure = frame["code"] == labs.number("sbp")
    both, _ = _codings((systems["loinc"], labs["loinc"]), (systems["h11_lab"], labs["h11_local"]), labs["name"])
    both[labs.number("sbp")] = _unknown(systems["loinc"], "85354-9")
    local = labs.number("chol")
    both[local] = _unknown(systems["h11_lab"], labs["h11_local"][local])
    comparator, value = at_limits(codes, frame["code"], frame["value"], frame["site"])
    second = frame["plant"] == NUMBER["unit_other"]
    units = [*labs["unit"], *by_analyte(codes, ALTERNATIVE, "")]
    code = np.where(frame["plant"] == NUMBER["unknown_code"], len(labs), frame["code"])
    quantity = render(
        _QUANTITY.replace("@ucum@", systems["ucum"]),
        value=number_text(in_second_unit(codes, frame["code"], value, second), 2),
        comparator=choose(["", *(f'"comparator":"{c}",' for c in COMPARATORS[1:])], comparator),
        unit=choose(units, frame["code"] + len(labs) * second),
    )
    panel = render(
        _PRESSURE.replace("@ucum@", systems["ucum"]).replace("@loinc@", systems["loinc"]),
        systolic=number_text(frame["value"], 0),
        diastolic=number_text(frame["value2"], 0),
    )
    impossible = frame["plant"] == NUMBER["impossible_date"]
    return render(
        _LAB,
        **columns,
        code=choose([*both, _unknown(systems["loinc"], UNKNOWN["lab"]["loinc"])], code),
        category=either(pressure, "vital-signs", "laboratory"),
        at=either(impossible, "2023-02-30T09:00:00+09:00", minute_text(frame["minute"], zone=_ZONE)),
        result=either(pressure, panel, quantity),
    )


def _tombstones(frame: Frame, entity: str, chunk: Chunk) -> Rendered:
    ids = record_texts(frame["id"], seed=chunk.seed, site=SITE, entity=entity)
    lines = render(_TOMBSTONE.replace("@type@", _TYPES[entity]), id=ids)
    return Rendered("tombstone", "Bundle.{part:03d}.ndjson", frame, lines, ids)
