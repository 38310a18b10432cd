"""Reviewer a12: the same claims of a sample of the people as HIRA's patient sample lays them out, CSV in UTF-8.

Belongs here: rows as text. Does not belong here: which claims there are (`claims`), what columns mean (`assets/privacy/rules/claims_hira.toml`).
Review is final here: a claim comes once, in its corrected form.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.claim_texts import (
    compact_days,
    delivered,
    forms,
    institutions,
    line_columns,
    prescription_columns,
    sick_texts,
    stated_texts,
    whole,
)
from assets.simulation.claims import CLINICS
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Flags, Frame, Ints, surrogate
from assets.simulation.kernels import choose, either, hexadecimal, render

SITE = "a12"

HEADERS: Mapping[str, str] = {
    "linkage.csv": "JID,RESIDENT_NUMBER",
    "ykiho_2025.csv": "YID,RECU_CL_CD,SIDO_CD,ORG_DF,BED_GRADE",
    "t200_2025.csv": (
        "SPEC_ID_SNO,JID,YID,INSUP_TP_CD,SEX_TP_CD,PAT_AGE,FOM_TP_CD,DGSBJT_CD,MSICK_CD,SSICK_CD,RECU_FR_DD,RECU_TO_DD,FST_IPAT_DD,VST_DDCNT,"
        "IPAT_ARIV_PTH_TP,RVD_RPE_TAMT_AMT,RVD_SLF_BRDN_AMT,RVD_INSUP_BRDN_AMT,SamplingWeight"
    ),
    "t300_2025.csv": (
        "SPEC_ID_SNO,LN_NO,CZ_ITEM_CD,DIV_TY_CD,DIV_CD,FQ1_MDCT_QTY,DY1_INJC_QTY_EXEC_FQ,TOT_INJC_DDCNT_EXEC_FQ,TOT_USE_QTY_OR_EXEC_FQ,UNPRC,AMT"
    ),
    "t400_2025.csv": "SPEC_ID_SNO,SICK_SNO,SICK_DGSBJT_CD,SICK_CD,SICK_TY_CD",
    "t530_2025.csv": (
        "SPEC_ID_SNO,LN_NO,DIV_TY_CD,DIV_CD,GNL_NM_CD,FQ1_MDCT_QTY,DY1_INJC_QTY_EXEC_FQ,TOT_INJC_DDCNT_EXEC_FQ,TOT_USE_QTY_OR_EXEC_FQ,UNPRC,AMT"
    ),
}

_STATEMENT = "@key@,@person@,@place@,4,@sex@,@age@,@form@,01,@main@,@sub@,@day@,@until@,@admitted@,@days@,@route@,@adjudicated@,@patient@,@insurer@,5\n"
_LINE = "@key@,@ordinal@,0101,@type@,@code@,1,1,@times@,@times@,@price@,@amount@\n"
_DIAGNOSIS = "@key@,@ordinal@,01,@code@,@rank@\n"
_PRESCRIPTION = "@key@,@ordinal@,3,@code@,@ingredient@,1,@per_day@,@days@,@total@,100,@amount@\n"


def render_hira(chunk: Chunk) -> list[Rendered]:
    """All files of the reviewer for one chunk."""
    people = chunk.claims.sampled
    found = [_linkage(chunk, people)]
    if chunk.index == 0:
        found.append(_institutions())
    return [*found, _statements(chunk, people), _lines(chunk, people), _diagnoses(chunk, people), _prescriptions(chunk, people)]


def person_texts(chunk: Chunk, owner: Ints) -> pa.StringArray:
    """Sixteen hexadecimal digits a person."""
    return hexadecimal(surrogate(chunk.people["person"][owner], seed=chunk.seed, scope="a12/person"))


def key_texts(chunk: Chunk, row: Ints) -> pa.StringArray:
    """Statement numbers, sixteen hexadecimal digits."""
    return hexadecimal(surrogate(chunk.claims.claim["number"][row], seed=chunk.seed, scope="a12/statement"))


def _linkage(chunk: Chunk, people: Flags) -> Rendered:
    owner = np.flatnonzero(people)
    zero = np.zeros(len(owner), dtype=np.int64)
    number = person_texts(chunk, owner)
    lines = render("@person@,@rrn@\n", person=number, rrn=chunk.resident.take(pa.array(owner)))
    return Rendered("linkage", "linkage.csv", Frame({"owner": owner, "delivery": zero, "plant": zero}), lines, number)


def _institutions() -> Rendered:
    frame = institutions()
    hospital = (frame["clinic"] >= CLINICS).astype(np.int64)
    number = render("Y@n@", n=whole(frame["clinic"]))
    kind, grade = choose(("31", "01"), hospital), choose(("0", "9"), hospital)
    return Rendered("provider", "ykiho_2025.csv", frame, render("@id@,@kind@,11,4,@grade@\n", id=number, kind=kind, grade=grade), number)


def ages(birth: Ints, day: Ints) -> Ints:
    """Full years of age on a day."""
    born, then = birth.astype("datetime64[D]"), day.astype("datetime64[D]")
    months = (then.astype("datetime64[M]") - born.astype("datetime64[M]")).astype(np.int64)
    before = (then - then.astype("datetime64[M]")) < (born - born.astype("datetime64[M]"))
    return np.asarray((months - before) // 12, dtype=np.int64)


def _statements(chunk: Chunk, people: Flags) -> Rendered:
    frame = delivered(chunk, chunk.claims.claim, people)
    frame = frame.take(frame["plant"] != NUMBER["claim_superseded"])
    key, inpatient, owner = key_texts(chunk, frame["row"]), forms(frame), frame["owner"]
    day = compact_days(frame["day"], frame["plant"] == NUMBER["claim_bad_date"])
    lines = render(
        _STATEMENT,
        key=key,
        person=either(frame["plant"] == NUMBER["claim_missing_person"], "", person_texts(chunk, owner)),
        place=render("Y@n@", n=whole(frame["clinic"])),
        sex=choose(("1", "2"), chunk.people["female"][owner]),
        age=whole(np.maximum(ages(chunk.people["birth"][owner], frame["day"]), 0)),
        form=choose(("031", "021"), inpatient),
        main=stated_texts(chunk, frame, 1),
        sub=stated_texts(chunk, frame, 2),
        day=day,
        until=compact_days(frame["day"] + frame["days"] - 1),
        admitted=either(inpatient > 0, day, ""),
        days=whole(frame["days"]),
        route=either(frame["route"] > 0, whole(frame["route"]), ""),
        adjudicated=whole(frame["adjudicated"]),
        patient=whole(frame["adjudicated_patient"]),
        insurer=whole(frame["adjudicated"] - frame["adjudicated_patient"]),
    )
    return Rendered("statement", "t200_2025.csv", frame, lines, key)


def _lines(chunk: Chunk, people: Flags) -> Rendered:
    frame = delivered(chunk, chunk.claims.line, people)
    key = key_texts(chunk, frame["row"])
    lines = render(
        _LINE,
        key=key,
        **line_columns(frame),
    )
    return Rendered("treatment_line", "t300_2025.csv", frame, lines, key)


def _diagnoses(chunk: Chunk, people: Flags) -> Rendered:
    frame = delivered(chunk, chunk.claims.diagnosis, people)
    key = key_texts(chunk, frame["row"])
    lines = render(
        _DIAGNOSIS,
        key=either(frame["plant"] == NUMBER["claim_orphan_line"], render("X@k@", k=key), key),
        ordinal=whole(frame["ordinal"]),
        code=sick_texts(chunk, frame["code"], frame["plant"]),
        rank=choose(("2", "1"), frame["ordinal"] == 1),
    )
    return Rendered("diagnosis", "t400_2025.csv", frame, lines, key)


def _prescriptions(chunk: Chunk, people: Flags) -> Rendered:
    frame = delivered(chunk, chunk.claims.prescription, people)
    key = key_texts(chunk, frame["row"])
    lines = render(
        _PRESCRIPTION,
        key=key,
        total=whole(frame["per_day"] * frame["days"]),
        **prescription_columns(frame, chunk.codes.drugs["edi"]),
    )
    return Rendered("prescription", "t530_2025.csv", frame, lines, key)
