"""Hospital h14: HL7 v2.5 messages in batch files, KS X 1001, with Z segments and codes of its own beside LOINC.

Belongs here: messages of true and planted records as text. Does not belong here: which records there are, what the door reads of a message.
Source: HL7 v2.5 chapters 2 (batch protocol 2.10.3), 3 (ADT), 4 (VXU), 6 (DG1, PR1), 7 (ORU).

Facts of a visit in good order travel together: one discharge message with all diagnoses and procedures, one result message. A planted record travels alone,
so that a message that is refused takes no true fact with it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.clinical import DAY_MINUTES, DEPARTMENTS
from assets.simulation.codes import UNKNOWN
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Array, Flags, Frame, Ints
from assets.simulation.identities import patient_keys, patient_texts, record_texts
from assets.simulation.kernels import choose, day_text, digits, either, minute_text, number_text, render
from assets.simulation.render_emr import both_pressures, lab_texts
from assets.simulation.units import ALTERNATIVE, COMPARATORS, at_limits, by_analyte, in_second_unit

SITE = "h14"
ENCODING = "euc_kr"
"""KS X 1001 in its 8-bit form: MSH-18 says so, and a syllable outside of it must stop the simulation, not become another one."""

_ADT, _ORU, _VXU = "adt.hl7", "oru.hl7", "vxu.hl7"
_BAR = "|".__mul__
_MSH = "MSH|^~\\&|HIS|H14|BIODAM|HUB|@sent@||@kind@|@control@|P|2.5|||||KOR|KS X 1001\r"
_PID = f"PID|1||@ids@||@family@^@given@||@birth@|@sex@|||^^@city@^@province@^^KR||@phone@{_BAR(16)}@died@\r"
_PV1 = f"PV1|1|@class@|@department@^^^H14||||@doctor@^@doctor_name@{_BAR(12)}@visit@{_BAR(25)}@start@|@end@\r"
_DG1 = f"DG1|@ordinal@||@code@^@label@^KCD|@label@|@day@|@rank@{_BAR(14)}@id@|@action@\r"
_PR1 = f"PR1|@ordinal@||@edi@^@label@^EDI^@snomed@^^SCT||@at@{_BAR(14)}@id@\r"
_AL1 = "AL1|1|DA|@code@^@label@^RXNORM|MO||@day@\r"
_OBX = "OBR|@ordinal@||@id@^LIS|@code@|||@at@\rOBX|1|@type@|@code@||@value@|@unit@|||||@status@|||@at@\r"
_RXA = f"ORC|RE||@id@^HIS\rRXA|0|1|@at@|@at@|@code@^@label@^CVX|0.5|mL{_BAR(13)}CP\r"
_MRG = "MRG|@prior@^^^H14^MR\r"
_ZKR = "ZKR|1|건강보험|@name@\r"
_CLASSES = ("O", "I", "E")
_ADMITS = ("ADT^A04^ADT_A01", "ADT^A01^ADT_A01", "ADT^A04^ADT_A01")
_LOCAL_ONLY = "chol"
"""Analyte that the laboratory sends under its own code alone (`assets/sites/h14.toml`)."""


def header(name: str) -> str:
    """What a batch file begins with."""
    return f"FHS|^~\\&|HIS|H14|BIODAM|HUB|20260401||{name}\rBHS|^~\\&|HIS|H14|BIODAM|HUB|20260401\r"


def footer(messages: int) -> str:
    """What a batch file ends with: the receiver compares the count."""
    return f"BTS|{messages}\rFTS|1\r"


def render_hl7(chunk: Chunk, delivered: Mapping[str, Frame], roster: Frame) -> list[Rendered]:
    """All files of the hospital for one chunk. Prescriptions are not sent."""
    return [
        _patients(chunk, roster),
        _visits(chunk, delivered),
        _late_conditions(chunk, delivered["condition"]),
        _results(chunk, delivered),
        _vaccinations(chunk, delivered["vaccination"]),
    ]


def times(minutes: Ints) -> pa.StringArray:
    """`YYYYMMDDHHMMSS` on the Korean clock; messages name no offset."""
    return pc.replace_substring_regex(minute_text(minutes), "[-T:]", "")


def _days(days: Ints) -> pa.StringArray:
    return pc.replace_substring(day_text(days), "-", "")


def _finished(entity: str, name: str, parts: list[tuple[Frame, pa.StringArray, pa.StringArray]]) -> Rendered:
    """Messages of several kinds in the order of delivery and of the clock."""
    wanted = ("owner", "delivery", "plant", "minute")
    frame = Frame.concat([Frame({n: f[n].astype(np.int64) for n in wanted}) for f, _, _ in parts])
    order = np.lexsort((frame["minute"], frame["delivery"]))
    texts, ids = (pa.chunked_array([p[i] for p in parts], pa.string()).take(pa.array(order)).combine_chunks() for i in (1, 2))
    return Rendered(entity, name, frame.take(order), texts, ids)


class _Header:
    """MSH and PID of messages about the rows of a frame (`owner`, `number`, `minute`, `plant`, `delivery`)."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._names = chunk.names

    def text(self, frame: Frame, kind: pa.StringArray | str, control: pa.StringArray, died: Ints | None = None) -> pa.StringArray:
        """The two segments. `control` is unique to what the message says and to its delivery."""
        chunk, owner = self._chunk, frame["owner"]
        row = pa.array(owner)
        people = chunk.people
        day = _days(np.full(len(owner), NEVER) if died is None else died)
        return render(
            _MSH + _PID,
            sent=times(frame["minute"]),
            kind=pa.array([kind] * len(owner), pa.string()) if isinstance(kind, str) else kind,
            control=control,
            ids=either(frame["plant"] == NUMBER["missing_person"], "", identifiers(chunk, owner, frame["number"])),
            birth=_days(people["birth"][owner]),
            sex=choose(("M", "F"), people["female"][owner]),
            died=render("@d@@y@", d=day, y=either(np.asarray(day.is_valid()), "|Y", "")),
            **{name: self._names[name].take(row) for name in ("family", "given", "city", "province", "phone")},
        )


def identifiers(chunk: Chunk, owner: Ints, number: Ints) -> pa.StringArray:
    """PID-3. A second number after an identity split, and one that is nobody's, come without the resident number: a merge message ties the former."""
    own = patient_texts(patient_keys(chunk.people, owner, number), seed=chunk.seed, site=SITE)
    resident = chunk.resident.take(pa.array(owner))
    national = render("~@a@-@b@^^^KR^NNKOR", a=pc.utf8_slice_codeunits(resident, 0, 6), b=pc.utf8_slice_codeunits(resident, 6, 13))
    return render("@n@^^^H14^MR@r@", n=own, r=either(number == 0, national, ""))


def _control(letter: str, ids: pa.StringArray, delivery: Ints) -> pa.StringArray:
    return render(f"{letter}@d@@i@", d=digits(delivery, 1), i=ids)


def _patients(chunk: Chunk, roster: Frame) -> Rendered:
    """A28 for each number, A31 where a later delivery brings the death, A40 where two numbers prove to be one person's."""
    header = _Header(chunk)
    frame = roster.having(minute=roster["day"] * DAY_MINUTES)
    died = np.where(frame["died"], chunk.people["death"][frame["owner"]], NEVER)
    ids = patient_texts(patient_keys(chunk.people, frame["owner"], frame["number"]), seed=chunk.seed, site=SITE)
    updates = frame["plant"] == NUMBER["death_update"]
    frame = frame.having(minute=np.where(updates, np.minimum(died, chunk.country.end) * DAY_MINUTES + 1380, frame["minute"]))
    kind = either(updates, "ADT^A31^ADT_A05", "ADT^A28^ADT_A05")
    parts = [(frame, header.text(frame, kind, _control("P", ids, frame["delivery"]), died), ids)]
    second = frame["plant"] == NUMBER["identity_split"]
    if second.any():
        merge = frame.take(second)
        merge = merge.having(minute=merge["minute"] + 600)
        own = ids.filter(pa.array(second))
        prior = patient_texts(patient_keys(chunk.people, merge["owner"], 0 * merge["number"]), seed=chunk.seed, site=SITE)
        text = header.text(merge, "ADT^A40^ADT_A39", _control("M", own, merge["delivery"]))
        parts.append((merge, render("@m@@g@", m=text, g=render(_MRG, prior=prior)), own))
    return _finished("patient", _ADT, parts)


def _visits(chunk: Chunk, delivered: Mapping[str, Frame]) -> Rendered:
    """A01 or A04 when a visit begins, A03 with what was found when it ends, A11 where it never took place."""
    frame, header = delivered["visit"], _Header(chunk)
    ids = record_texts(frame["id"], seed=chunk.seed, site=SITE, entity="visit")
    frame = frame.having(row=np.arange(len(frame)))
    begins, cancels = frame["plant"] != NUMBER["delete_notice"], frame["plant"] == NUMBER["delete_notice"]
    parts = []
    for rows, kinds, letter, minute in (
        (begins, _ADMITS, "A", frame["start"]),
        (frame["plant"] == 0, ("ADT^A03^ADT_A03",) * 3, "E", frame["end"]),
        (cancels, ("ADT^A11^ADT_A09",) * 3, "X", frame["start"] + 30),
    ):
        taken = frame.having(minute=minute).take(rows)
        own = ids.take(pa.array(taken["row"]))
        text = [
            header.text(taken, choose(kinds, taken["kind"]), _control(letter, own, taken["delivery"])),
            render(
                "EVN||@at@\r@pv1@", at=times(taken["minute"]), pv1=_visit_segment(chunk, taken, own, end=letter == "E", start=letter == "A")
            ),
        ]
        if letter == "A":
            allergies = _good(delivered["allergy"])
            text += [gathered(_allergy_segments(chunk, allergies), _visit_ids(chunk, allergies), taken["id"])]
            text += [render(_ZKR, name=chunk.names["name"].take(pa.array(taken["owner"])))]
        if letter == "E":
            conditions, procedures = _good(delivered["condition"]), _good(delivered["procedure"])
            text += [gathered(_diagnosis_segments(chunk, conditions), _visit_ids(chunk, conditions), taken["id"])]
            text += [gathered(_procedure_segments(chunk, procedures), _visit_ids(chunk, procedures), taken["id"])]
        parts.append((taken, pc.binary_join_element_wise(*text, ""), own))
    return _finished("visit", _ADT, parts)


def _late_conditions(chunk: Chunk, conditions: Frame) -> Rendered:
    """A08 for each diagnosis that is planted: late, corrected, wrong, taken back."""
    frame = conditions.take(conditions["plant"] != 0)
    visit = chunk.events.visit.take(frame["visit"])
    frame = frame.having(minute=visit["end"] + 60, **{n: visit[n] for n in ("department", "doctor", "kind", "start", "end")})
    ids = record_texts(frame["id"], seed=chunk.seed, site=SITE, entity="condition")
    own = record_texts(visit["id"], seed=chunk.seed, site=SITE, entity="visit")
    text = pc.binary_join_element_wise(
        _Header(chunk).text(frame, "ADT^A08^ADT_A01", _control("U", ids, frame["delivery"])),
        _visit_segment(chunk, frame, own, start=False, end=False),
        _diagnosis_segments(chunk, frame),
        "",
    )
    return _finished("condition", _ADT, [(frame, text, ids)])


def _results(chunk: Chunk, delivered: Mapping[str, Frame]) -> Rendered:
    """One ORU a visit with all results in good order, one for each planted result."""
    labs = chunk.codes.labs
    every = both_pressures(delivered["lab"], labs.number("sbp"), labs.number("dbp"))
    good, alone = _good(every), every.take(every["plant"] != 0)
    header, parts = _Header(chunk), []
    visit = _good(delivered["visit"])
    visit = visit.take(np.isin(visit["id"], _visit_ids(chunk, good)))
    visit = visit.having(minute=np.maximum(visit["end"], visit["start"] + 45))
    own = record_texts(visit["id"], seed=chunk.seed, site=SITE, entity="visit")
    kind = "ORU^R01^ORU_R01"
    for frame, letter, ids, body in (
        (visit, "R", own, gathered(_result_segments(chunk, good), _visit_ids(chunk, good), visit["id"])),
        (alone, "S", lab_texts(alone, seed=chunk.seed, site=SITE), _result_segments(chunk, alone)),
    ):
        stay = frame if letter == "R" else chunk.events.visit.take(frame["visit"])
        number = own if letter == "R" else record_texts(stay["id"], seed=chunk.seed, site=SITE, entity="visit")
        text = header.text(frame, kind, _control(letter, ids, frame["delivery"]))
        segment = _visit_segment(chunk, stay, number, start=False, end=False)
        parts.append((frame, pc.binary_join_element_wise(text, segment, body, ""), ids))
    return _finished("lab", _ORU, parts)


def _vaccinations(chunk: Chunk, frame: Frame) -> Rendered:
    """A VXU each."""
    codes = chunk.codes.vaccines
    ids = record_texts(frame["id"], seed=chunk.seed, site=SITE, entity="vaccination")
    body = render(
        _RXA, id=ids, at=times(frame["minute"]), code=choose(codes["cvx"], frame["code"]), label=choose(codes["name"], frame["code"])
    )
    text = _Header(chunk).text(frame, "VXU^V04^VXU_V04", _control("V", ids, frame["delivery"]))
    return _finished("vaccination", _VXU, [(frame, pc.binary_join_element_wise(text, body, ""), ids)])


def _good(frame: Frame) -> Frame:
    return frame.take(frame["plant"] == 0)


def _visit_ids(chunk: Chunk, frame: Frame) -> Ints:
    return np.asarray(chunk.events.visit["id"][frame["visit"]], dtype=np.int64)


def gathered(texts: pa.StringArray, keys: Ints, wanted: Ints) -> pa.StringArray:
    """Texts of equal key put together for each wanted key, in their order; nothing where there is none."""
    order = np.argsort(keys, kind="stable")
    begin, end = np.searchsorted(keys[order], wanted, side="left"), np.searchsorted(keys[order], wanted, side="right")
    length = end - begin
    offsets = np.r_[0, np.cumsum(length)].astype(np.int32)
    place = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], length) + np.repeat(begin, length)
    lists = pa.ListArray.from_arrays(pa.array(offsets), texts.take(pa.array(order[place])))
    return pc.binary_join(lists, "")


def _ordinals(keys: Ints) -> pa.StringArray:
    """1, 2, 3 ... among the rows of one key."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    first = np.r_[True, ranked[1:] != ranked[:-1]][: len(keys)]
    place = np.arange(len(keys))
    ordinal = np.empty(len(keys), dtype=np.int64)
    ordinal[order] = place - np.maximum.accumulate(np.where(first, place, 0)) + 1 if len(keys) else place
    return pc.cast(pa.array(ordinal), pa.string())


def _visit_segment(chunk: Chunk, frame: Frame, ids: pa.StringArray, *, start: bool, end: bool) -> pa.StringArray:
    doctors = [chunk.names["name"][i % len(chunk.names)].as_py() for i in range(40)]
    none = pa.nulls(len(frame), pa.string())
    return render(
        _PV1,
        visit=ids,
        department=choose(DEPARTMENTS, frame["department"]),
        doctor=render("D@n@", n=digits(frame["doctor"], 2)),
        doctor_name=choose(doctors, frame["doctor"]),
        start=times(frame["start"]) if start else none,
        end=times(frame["end"]) if end else none,
        **{"class": choose(_CLASSES, frame["kind"])},
    )


def _diagnosis_segments(chunk: Chunk, frame: Frame) -> pa.StringArray:
    codes, plant = chunk.codes.conditions, frame["plant"]
    code = np.where(plant == NUMBER["unknown_code"], len(codes), frame["code"])
    return render(
        _DG1,
        ordinal=_ordinals(frame["visit"] + frame["plant"] * (1 << 40)),
        code=choose([*codes["kcd"], UNKNOWN["condition"]["kcd"]], code),
        label=choose([*codes["name"], "모름"], code),
        day=either(plant == NUMBER["impossible_date"], "20230230", _days(frame["day"])),
        rank=either(frame["primary"], "F", "W"),
        id=record_texts(frame["id"], seed=chunk.seed, site=SITE, entity="condition"),
        action=either(frame["removed"], "D", either(plant == NUMBER["corrected"], "U", "A")),
    )


def _procedure_segments(chunk: Chunk, frame: Frame) -> pa.StringArray:
    codes = chunk.codes.procedures
    return render(
        _PR1,
        ordinal=_ordinals(frame["visit"]),
        edi=choose(codes["edi"], frame["code"]),
        snomed=choose(codes["snomed"], frame["code"]),
        label=choose(codes["name"], frame["code"]),
        at=times(frame["minute"]),
        id=record_texts(frame["id"], seed=chunk.seed, site=SITE, entity="procedure"),
    )


def _allergy_segments(chunk: Chunk, frame: Frame) -> pa.StringArray:
    codes = chunk.codes.allergens
    return render(_AL1, code=choose(codes["rxnorm"], frame["code"]), label=choose(codes["name"], frame["code"]), day=_days(frame["day"]))


def _result_codes(chunk: Chunk) -> list[str]:
    """OBX-3 of each analyte: LOINC with the laboratory's own code beside it, one by its own code alone."""
    labs = chunk.codes.labs
    found = []
    for key, loinc, name in zip(labs["key"], labs["loinc"], labs["name"], strict=True):
        own = f"H14-{key.upper()}^{name}^L"
        found.append(own if key == _LOCAL_ONLY else f"{loinc}^{name}^LN^{own}")
    return [*found, f"{UNKNOWN['lab']['loinc']}^모름^LN"]


def _result_segments(chunk: Chunk, frame: Frame) -> pa.StringArray:
    codes, labs, plant = chunk.codes, chunk.codes.labs, frame["plant"]
    comparator, value = at_limits(codes, frame["code"], frame["value"], frame["site"])
    second = plant == NUMBER["unit_other"]
    number = number_text(in_second_unit(codes, frame["code"], value, second), 2)
    units = [*labs["unit"], *by_analyte(codes, ALTERNATIVE, "")]
    limited: Flags = comparator > 0
    status: Array = np.where(frame["removed"], 2, np.where(plant == NUMBER["corrected"], 1, 0))
    return render(
        _OBX,
        ordinal=_ordinals(frame["visit"] + plant * (1 << 40)),
        id=lab_texts(frame, seed=chunk.seed, site=SITE),
        code=choose(_result_codes(chunk), np.where(plant == NUMBER["unknown_code"], len(labs), frame["code"])),
        at=either(plant == NUMBER["impossible_date"], "20230230090000", times(frame["minute"])),
        type=either(limited, "SN", "NM"),
        value=either(limited, render("@c@^@v@", c=choose(COMPARATORS, comparator), v=number), number),
        unit=render("@u@^^UCUM", u=choose(units, frame["code"] + len(labs) * second)),
        status=choose(("F", "C", "D"), status),
    )
