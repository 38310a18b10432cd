"""Hospital h15: a C-CDA R2.1 Continuity of Care Document a person and delivery.

Belongs here: documents of true and planted records. Does not belong here: which records there are, what the door reads of a document.
Source: HL7 CDA R2 IG: Consolidated CDA Templates R2.1 (2015), US Realm header and entry templates.

A document holds what came to be known since the last one; a correction comes in a later document under the same id. Documents that are damaged as a whole
are additional copies of sound ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.clinical import DAY_MINUTES
from assets.simulation.codes import UNKNOWN
from assets.simulation.country import H15
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Flags, Frame, Ints, surrogate
from assets.simulation.identities import patient_keys, patient_texts, record_texts
from assets.simulation.kernels import choose, day_text, either, hexadecimal, minute_text, number_text, render
from assets.simulation.render_emr import both_pressures, lab_texts
from assets.simulation.units import ALTERNATIVE, at_limits, by_analyte, in_second_unit

SITE = "h15"
OID = "2.999.15"
"""Root of the hospital's numbers; 2.999 is the arc for examples (ITU-T X.660)."""
_T = "2.16.840.1.113883.10.20.22."
_HEADER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n@doctype@'
    '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    '<realmCode code="US"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>'
    f'<templateId root="{_T}1.1" extension="2015-08-01"/><templateId root="{_T}1.2" extension="2015-08-01"/>'
    f'<id root="{OID}.9" extension="@document@"/><code code="34133-9" codeSystem="@loinc@"/><title>진료요약 @name@</title>'
    '<effectiveTime value="@said@+0900"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="ko-KR"/>'
    f'<recordTarget><patientRole><id root="{OID}.1" extension="@patient@"/><id root="@rrn_oid@" extension="@rrn@"/>'
    "<addr><streetAddressLine>@line@</streetAddressLine><city>@city@</city><state>@province@</state><country>KR</country></addr>"
    '<telecom value="tel:@phone@"/><patient><name><family>@family@</family><given>@given@</given></name>'
    '<administrativeGenderCode code="@sex@" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="@birth@"/>@died@</patient></patientRole></recordTarget>'
    '<author><time value="@said@+0900"/><assignedAuthor><id nullFlavor="NI"/></assignedAuthor></author>'
    '<custodian><assignedCustodian><representedCustodianOrganization><id root="2.999.15"/></representedCustodianOrganization></assignedCustodian></custodian>'
    "<component><structuredBody>\n"
)
_CLOSE = "</structuredBody></component></ClinicalDocument>\n"
_SECTIONS = (
    ("22.1", "46240-8", "Encounters"), ("5.1", "11450-4", "Problems"), ("1.1", "10160-0", "Medications"), ("3.1", "30954-2", "Results"),
    ("4.1", "8716-3", "Vital signs"), ("7.1", "47519-4", "Procedures"), ("2.1", "11369-6", "Immunizations"), ("6.1", "48765-2", "Allergies"),
)  # fmt: skip
"""Template, LOINC code and title of each section, in their order."""
ENCOUNTERS, PROBLEMS, MEDICATIONS, RESULTS, VITALS, PROCEDURES, IMMUNIZATIONS, ALLERGIES = range(len(_SECTIONS))
_ID = f'<id root="{OID}.2" extension="@id@"/>'

_VISIT = (
    f'<entry><encounter classCode="ENC" moodCode="EVN"><templateId root="{_T}4.49" extension="2015-08-01"/>{_ID}'
    '<code code="@class@" codeSystem="2.16.840.1.113883.5.4"/><effectiveTime><low value="@start@+0900"/><high value="@end@+0900"/></effectiveTime>'
    "</encounter></entry>\n"
)
_CONCERN = f'<entry><act classCode="ACT" moodCode="EVN"><templateId root="{_T}4.@kind@" extension="2015-08-01"/><statusCode code="active"/>'
_PROBLEM = (
    _CONCERN.replace("@kind@", "3") + '<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN">'
    f'<templateId root="{_T}4.4" extension="2015-08-01"/>{_ID}<code code="55607006" codeSystem="@snomed@"/><statusCode code="@status@"/>'
    '<effectiveTime><low value="@day@"/></effectiveTime>@code@</observation></entryRelationship></act></entry>\n'
)
_DRUG = (
    f'<entry><substanceAdministration classCode="SBADM" moodCode="EVN"><templateId root="{_T}4.16" extension="2014-06-09"/>{_ID}'
    '<statusCode code="completed"/><effectiveTime xsi:type="IVL_TS"><low value="@start@"/><high value="@end@"/></effectiveTime>'
    '<doseQuantity value="1"/><consumable><manufacturedProduct classCode="MANU"><manufacturedMaterial>'
    '<code code="@code@" codeSystem="@rxnorm@"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>\n'
)
_LAB = (
    '<entry><organizer classCode="@organizer@" moodCode="EVN"><statusCode code="completed"/><component><observation classCode="OBS" moodCode="EVN">'
    f'<templateId root="{_T}4.@template@" extension="2015-08-01"/>{_ID}<code code="@code@" codeSystem="@loinc@"/><statusCode code="completed"/>'
    '<effectiveTime value="@at@"/>@value@</observation></component></organizer></entry>\n'
)
_PROCEDURE = (
    f'<entry><procedure classCode="PROC" moodCode="EVN"><templateId root="{_T}4.14" extension="2014-06-09"/>{_ID}'
    '<code code="@code@" codeSystem="@snomed@"/><statusCode code="completed"/><effectiveTime value="@at@+0900"/></procedure></entry>\n'
)
_VACCINATION = (
    '<entry><substanceAdministration classCode="SBADM" moodCode="EVN" negationInd="false">'
    f'<templateId root="{_T}4.52" extension="2015-08-01"/>{_ID}<statusCode code="completed"/><effectiveTime value="@at@+0900"/>'
    '<doseQuantity value="0.5" unit="mL"/><consumable><manufacturedProduct classCode="MANU"><manufacturedMaterial>'
    '<code code="@code@" codeSystem="@cvx@"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>\n'
)
_ALLERGY = (
    _CONCERN.replace("@kind@", "30") + '<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN">'
    f'<templateId root="{_T}4.7" extension="2014-06-09"/>{_ID}<code code="ASSERTION" codeSystem="2.16.840.1.113883.5.4"/><statusCode code="completed"/>'
    '<effectiveTime><low value="@day@"/></effectiveTime><value xsi:type="CD" code="416098002" codeSystem="@snomed@"/>'
    '<participant typeCode="CSM"><participantRole classCode="MANU"><playingEntity classCode="MMAT"><code code="@code@" codeSystem="@rxnorm@"/>'
    "</playingEntity></participantRole></participant></observation></entryRelationship></act></entry>\n"
)
_DAMAGES = ("document_again", "document_encoding", "document_cut", "document_doctype")
_DOCTYPE = '<!DOCTYPE ClinicalDocument [<!ENTITY who SYSTEM "file:///etc/hostname">]>\n'


def render_ccda(chunk: Chunk, delivered: Mapping[str, Frame], roster: Frame) -> list[Rendered]:
    """All documents of the hospital for one chunk, each a file."""
    documents = list(_documents(chunk, _entries(chunk, delivered), roster))
    return [*documents, *_damaged(chunk, documents)]


def _times(minutes: Ints) -> pa.StringArray:
    return pc.utf8_slice_codeunits(pc.replace_substring_regex(minute_text(minutes), "[-T:]", ""), 0, 12)


def _days(days: Ints) -> pa.StringArray:
    return pc.replace_substring(day_text(days), "-", "")


def _filled(chunk: Chunk, template: str) -> str:
    """The template with the OIDs of code systems put in."""
    systems = chunk.codes.systems
    for name in ("snomed", "loinc", "rxnorm", "cvx", "rrn"):
        template = template.replace(f"@{name}@" if name != "rrn" else "@rrn_oid@", systems[f"{name}_oid"])
    return template


def _entries(chunk: Chunk, delivered: Mapping[str, Frame]) -> tuple[Frame, pa.StringArray, pa.StringArray, pa.StringArray]:
    """Entries of all kinds: frame (`owner`, `number`, `delivery`, `plant`, `section`), text, id, entity."""
    frames, texts, ids, entities = [], [], [], []
    for entity, make in _MAKERS.items():
        frame = delivered[entity]
        if entity == "lab":
            labs = chunk.codes.labs
            frame = both_pressures(frame, labs.number("sbp"), labs.number("dbp"))
            own = lab_texts(frame, seed=chunk.seed, site=SITE)
        else:
            own = record_texts(frame["id"], seed=chunk.seed, site=SITE, entity=entity)
        section, text = make(chunk, frame, own)
        place = np.full(len(frame), section) if isinstance(section, int) else section
        frames.append(Frame({n: frame[n].astype(np.int64) for n in ("owner", "number", "delivery", "plant")}).having(section=place))
        texts.append(text)
        ids.append(own)
        entities.append(pa.array([entity] * len(frame), pa.string()))
    joined = [pa.chunked_array(parts, pa.string()).combine_chunks() for parts in (texts, ids, entities)]
    return Frame.concat(frames), joined[0], joined[1], joined[2]


def _documents(chunk: Chunk, entries: tuple[Frame, pa.StringArray, pa.StringArray, pa.StringArray], roster: Frame) -> Iterator[Rendered]:
    """One document for each person and delivery with anything new."""
    frame, texts, ids, entities = entries
    key = (frame["delivery"] * len(chunk.people) + frame["owner"]) * 4 + frame["number"]
    known = (roster["delivery"] * len(chunk.people) + roster["owner"]) * 4 + roster["number"]
    order = np.lexsort((frame["section"], key))
    frame, key = frame.take(order), key[order]
    texts, ids, entities = (column.take(pa.array(order)) for column in (texts, ids, entities))
    texts = _sectioned(texts, key * len(_SECTIONS) + frame["section"], frame["section"])
    wanted = np.unique(np.concatenate([key, known]))
    head, document = _headers(chunk, wanted)
    updates = np.isin(wanted, known[roster["plant"] == NUMBER["death_update"]])
    begin, end = np.searchsorted(key, wanted, side="left"), np.searchsorted(key, wanted, side="right")
    for i, (first, last) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        count = last - first
        body = pa.concat_arrays([head.slice(i, 1), texts.slice(first, count)])
        closed = pa.array([*[""] * count, _CLOSE])
        delivery, owner = int(wanted[i]) // 4 // len(chunk.people), int(wanted[i]) // 4 % len(chunk.people)
        plant = np.r_[NUMBER["death_update"] * int(updates[i]), frame["plant"][first:last]].astype(np.int64)
        yield Rendered(
            "patient",
            f"ccd-{document[i].as_py()}.xml",
            Frame({"owner": np.full(count + 1, owner), "delivery": np.full(count + 1, delivery), "plant": plant}),
            pc.binary_join_element_wise(body, closed, ""),
            pa.concat_arrays([document.slice(i, 1), ids.slice(first, count)]),
            pa.concat_arrays([pa.array(["patient"]), entities.slice(first, count)]),
        )


def _sectioned(texts: pa.StringArray, group: Ints, section: Ints) -> pa.StringArray:
    """Entries with the opening of their section before the first and its end behind the last."""
    if not len(group):
        return texts
    first, last = np.r_[True, group[1:] != group[:-1]], np.r_[group[1:] != group[:-1], True]
    opens = [
        f'<component><section><templateId root="{_T}2.{template}" extension="2015-08-01"/><code code="{code}" codeSystem="2.16.840.1.113883.6.1"/>'
        f"<title>{title}</title><text>{title}</text>\n"
        for template, code, title in _SECTIONS
    ]
    return pc.binary_join_element_wise(either(first, choose(opens, section), ""), texts, either(last, "</section></component>\n", ""), "")


def _headers(chunk: Chunk, keys: Ints) -> tuple[pa.StringArray, pa.StringArray]:
    """Head of each document, and its number."""
    people, names = chunk.people, chunk.names
    number, owner = keys % 4, keys // 4 % len(people)
    delivery = keys // 4 // len(people)
    heard = (
        people["knows"][owner, H15] & (chunk.country.delivery_of(people["death"][owner]) <= delivery) & (people["death"][owner] < 1 << 30)
    )
    patients = patient_keys(people, owner, number)
    document = hexadecimal(surrogate(patients * 16 + delivery, seed=chunk.seed, scope="h15/document"))
    said = np.array(chunk.country.cutoffs)[delivery] * DAY_MINUTES + 1200
    row = pa.array(owner)
    died = render('<sdtc:deceasedInd value="true"/><sdtc:deceasedTime value="@d@"/>', d=_days(people["death"][owner]))
    return render(
        _filled(chunk, _HEADER),
        doctype=pa.array([""] * len(keys)),
        document=document,
        said=_times(said),
        patient=patient_texts(patients, seed=chunk.seed, site=SITE),
        rrn=chunk.resident.take(row),
        sex=choose(("M", "F"), people["female"][owner]),
        birth=_days(people["birth"][owner]),
        died=either(heard, died, '<sdtc:deceasedInd value="false"/>'),
        **{n: names[n].take(row) for n in ("name", "family", "given", "line", "city", "province", "phone")},
    ), document


def _damaged(chunk: Chunk, documents: list[Rendered]) -> Iterator[Rendered]:
    """Copies of sound documents: the same bytes again, bytes that are no UTF-8, cut, with a DOCTYPE. Each kind at least once in the first chunk."""
    sound = [d for d in documents if not d.frame["plant"].any() and len(d.frame) > 1]
    rng = chunk.setting.stream("errors/documents")
    for kind in _DAMAGES:
        rate = chunk.country.small_sites["damaged_document"]
        count = max(int(rng.binomial(len(sound), rate)), int(chunk.index == 0)) if sound else 0
        for i in rng.choice(len(sound), min(count, len(sound)), replace=False).tolist():
            source = sound[i]
            frame, text = source.frame.having(plant=NUMBER[kind]), source.body
            assert isinstance(text, pa.Array)
            if kind == "document_cut":
                text = pc.replace_substring(text, _CLOSE, "</structuredBody>")
            if kind == "document_doctype":
                text = pc.replace_substring(text, "<ClinicalDocument ", f"{_DOCTYPE}<ClinicalDocument ")
            yield Rendered("document", f"{kind.partition('_')[2]}-{source.name}", frame, text, source.ids)


def _visits(chunk: Chunk, frame: Frame, ids: pa.StringArray) -> tuple[int, pa.StringArray]:
    columns = {"class": choose(("AMB", "IMP", "EMER"), frame["kind"]), "start": _times(frame["start"]), "end": _times(frame["end"])}
    return ENCOUNTERS, render(_VISIT, id=ids, **columns)


def _conditions(chunk: Chunk, frame: Frame, ids: pa.StringArray) -> tuple[int, pa.StringArray]:
    """SNOMED with the WHO code beside it; where the hospital knows no SNOMED code, the WHO code alone."""
    codes, systems, plant = chunk.codes.conditions, chunk.codes.systems, frame["plant"]
    icd, snomed = systems["icd10_oid"], systems["snomed_oid"]
    options = [
        f'<value xsi:type="CD" code="{s}" codeSystem="{snomed}"><translation code="{k}" codeSystem="{icd}"/></value>'
        if s
        else f'<value xsi:type="CD" code="{k}" codeSystem="{icd}"/>'
        for s, k in zip(codes["snomed"], codes["kcd"], strict=True)
    ]
    options.append(f'<value xsi:type="CD" code="{UNKNOWN["condition"]["kcd"]}" codeSystem="{icd}"/>')
    return PROBLEMS, render(
        _filled(chunk, _PROBLEM),
        id=ids,
        code=choose(options, np.where(plant == NUMBER["unknown_code"], len(codes), frame["code"])),
        day=either(plant == NUMBER["impossible_date"], "20230230", _days(frame["day"])),
        status=either(frame["removed"], "nullified", "completed"),
    )


def _drugs(chunk: Chunk, frame: Frame, ids: pa.StringArray) -> tuple[int, pa.StringArray]:
    start, end = _days(frame["day"]), _days(frame["day"] + frame["days"] - 1)
    return MEDICATIONS, render(_filled(chunk, _DRUG), id=ids, start=start, end=end, code=choose(chunk.codes.drugs["rxnorm"], frame["code"]))


def _labs(chunk: Chunk, frame: Frame, ids: pa.StringArray) -> tuple[Ints, pa.StringArray]:
    codes, labs, plant = chunk.codes, chunk.codes.labs, frame["plant"]
    vital: Flags = np.isin(frame["code"], (labs.number("sbp"), labs.number("dbp")))
    comparator, value = at_limits(codes, frame["code"], frame["value"], frame["site"])
    second = plant == NUMBER["unit_other"]
    number = number_text(in_second_unit(codes, frame["code"], value, second), 2)
    unit = choose([*labs["unit"], *by_analyte(codes, ALTERNATIVE, "")], frame["code"] + len(labs) * second)
    bound = choose(("low", "high", "low"), comparator)
    exact = render('<value xsi:type="PQ" value="@v@" unit="@u@"/>', v=number, u=unit)
    limit = render('<value xsi:type="IVL_PQ"><@b@ value="@v@" unit="@u@" inclusive="false"/></value>', b=bound, v=number, u=unit)
    return np.where(vital, VITALS, RESULTS), render(
        _filled(chunk, _LAB),
        id=ids,
        organizer=either(vital, "CLUSTER", "BATTERY"),
        template=either(vital, "27", "2"),
        code=choose([*labs["loinc"], UNKNOWN["lab"]["loinc"]], np.where(plant == NUMBER["unknown_code"], len(labs), frame["code"])),
        at=either(plant == NUMBER["impossible_date"], "202302300900+0900", render("@t@+0900", t=_times(frame["minute"]))),
        value=either(comparator > 0, limit, exact),
    )


def _procedures(chunk: Chunk, frame: Frame, ids: pa.StringArray) -> tuple[int, pa.StringArray]:
    code = choose(chunk.codes.procedures["snomed"], frame["code"])
    return PROCEDURES, render(_filled(chunk, _PROCEDURE), id=ids, code=code, at=_times(frame["minute"]))


def _vaccinations(chunk: Chunk, frame: Frame, ids: pa.StringArray) -> tuple[int, pa.StringArray]:
    code = choose(chunk.codes.vaccines["cvx"], frame["code"])
    return IMMUNIZATIONS, render(_filled(chunk, _VACCINATION), id=ids, code=code, at=_times(frame["minute"]))


def _allergies(chunk: Chunk, frame: Frame, ids: pa.StringArray) -> tuple[int, pa.StringArray]:
    code = choose(chunk.codes.allergens["rxnorm"], frame["code"])
    return ALLERGIES, render(_filled(chunk, _ALLERGY), id=ids, code=code, day=_days(frame["day"]))


_Maker = Callable[[Chunk, Frame, pa.StringArray], tuple[Ints | int, pa.StringArray]]
_MAKERS: Mapping[str, _Maker] = {
    "visit": _visits, "condition": _conditions, "drug": _drugs, "lab": _labs, "procedure": _procedures, "vaccination": _vaccinations,
    "allergy": _allergies,
}  # fmt: skip
