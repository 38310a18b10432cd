"""Insurer a11: claims, eligibility and check-ups as the NHIS sample cohort 1 lays them out, CSV in CP949.

Belongs here: rows as text. Does not belong here: which claims there are (`claims`), what columns mean (`assets/privacy/rules/claims_nhis.toml`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.claim_texts import (
    NAMES,
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
from assets.simulation.country import day_number
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Flags, Frame, Ints, spread
from assets.simulation.kernels import choose, digits, either, number_text, render

SITE = "a11"
ENCODING = "cp949"

HEADERS: Mapping[str, str] = {
    "linkage.csv": "PERSON_ID,RESIDENT_NUMBER",
    "nhid_jk_2025.csv": "STND_Y,PERSON_ID,SEX,AGE_GROUP,DTH_YM,SIDO,SGG,IPSN_TYPE_CD,CTRB_PT_TYPE_CD,DFAB_GRD_CD,DFAB_PTN_CD",
    "nhid_gj_2025.csv": (
        "HCHK_YEAR,PERSON_ID,HME_YYYYMM,HEIGHT,WEIGHT,WAIST,BP_HIGH,BP_LWST,BLDS,TOT_CHOLE,TRIGLYCERIDE,HDL_CHOLE,LDL_CHOLE,HMG,OLIG_PROTE_CD,"
        "CREATININE,SGOT_AST,SGPT_ALT,GAMMA_GTP"
    ),
    "nhid_yk_2025.csv": "STND_Y,YKIHO_ID,YKIHO_NM,YKIHO_GUBUN_CD,YKIHO_SIDO,SICKBED_CNT,DR_CNT",
    "nhid_gy20_t1_2025.csv": (
        "PERSON_ID,KEY_SEQ,YKIHO_ID,RECU_FR_DT,FORM_CD,DSBJT_CD,MAIN_SICK,SUB_SICK,IN_PAT_CORS_TYPE,OFFC_INJ_TYPE,RECN,VSCN,FST_IN_PAT_DT,"
        "DMD_TRAMT,DMD_SBRDN_AMT,DMD_JBRDN_AMT,EDEC_ADD_RT,EDEC_TRAMT,EDEC_SBRDN_AMT,EDEC_JBRDN_AMT,DMD_DRG_NO,MPRSC_GRANT_NO,TOT_PRES_DD_CNT"
    ),
    "nhid_gy30_t1_2025.csv": "KEY_SEQ,SEQ_NO,RECU_FR_DT,CLAUSE_CD,ITEM_CD,DIV_TYPE_CD,DIV_CD,DD_MQTY_FREQ,DD_MQTY_EXEC_FREQ,MDCN_EXEC_FREQ,UN_COST,AMT",
    "nhid_gy40_t1_2025.csv": "KEY_SEQ,SEQ_NO,RECU_FR_DT,DSBJT_CD,SICK_SYM,SICK_CLSF_TYPE",
    "nhid_gy60_t1_2025.csv": "KEY_SEQ,SEQ_NO,RECU_FR_DT,DIV_TYPE_CD,DIV_CD,GNL_NM_CD,DD_MQTY_FREQ,DD_EXEC_FREQ,MDCN_EXEC_FREQ,UN_COST,AMT",
}

_STATEMENT = (
    "@person@,@key@,@place@,@day@,@form@,01,@main@,@sub@,@route@,0,@care@,@days@,@admitted@,@claimed@,@claimed_patient@,@claimed_insurer@,15,"
    "@adjudicated@,@adjudicated_patient@,@adjudicated_insurer@,,@grant@,@prescribed@\n"
)
_LINE = "@key@,@ordinal@,@day@,01,01,@type@,@code@,1,1,@times@,@price@,@amount@\n"
_DIAGNOSIS = "@key@,@ordinal@,@day@,01,@code@,@rank@\n"
_PRESCRIPTION = "@key@,@ordinal@,@day@,3,@code@,@ingredient@,1,@per_day@,@days@,100,@amount@\n"
_YEAR = "@year@,@person@,@sex@,@group@,@died@,@sido@,@sgg@,@type@,@income@,,\n"
_CHECKUP = (
    "2025,@person@,@month@,@height@,@weight@,@waist@,@sbp@,@dbp@,@glucose@,@chol@,@tg@,@hdl@,@ldl@,@hb@,1,@creatinine@,@ast@,@alt@,@ggt@\n"
)
_PLACES = ("11110", "26110", "27110", "28110", "29110", "30110", "31110", "36110", "41111")


def render_nhis(chunk: Chunk) -> list[Rendered]:
    """All files of the insurer for one chunk."""
    people = chunk.claims.linked
    found = [_linkage(chunk, people), _years(chunk, people), _checkups(chunk, people)]
    if chunk.index == 0:
        found.append(_institutions())
    return [*found, _statements(chunk, people), _lines(chunk, people), _diagnoses(chunk, people), _prescriptions(chunk, people)]


def person_texts(chunk: Chunk, owner: Ints) -> pa.StringArray:
    """Eight digits a person."""
    return digits(spread(chunk.people["person"][owner], digits=8, scope="a11"), 8)


def key_texts(chunk: Chunk, row: Ints) -> pa.StringArray:
    """Statement numbers: fourteen digits, in the order of filing."""
    return digits(20_000_000_000_000 + chunk.claims.claim["number"][row], 14)


def _own(owner: Ints, delivery: int = 0) -> Frame:
    count = len(owner)
    return Frame({"owner": owner, "delivery": np.full(count, delivery), "plant": np.zeros(count, dtype=np.int64)})


def _linkage(chunk: Chunk, people: Flags) -> Rendered:
    frame = _own(np.flatnonzero(people))
    number = person_texts(chunk, frame["owner"])
    lines = render("@person@,@rrn@\n", person=number, rrn=chunk.resident.take(pa.array(frame["owner"])))
    return Rendered("linkage", "linkage.csv", frame, lines, number)


def _years(chunk: Chunk, people: Flags) -> Rendered:
    """Two years of eligibility of everybody who lived in them."""
    parts = []
    for year in (2024, 2025):
        first, last = (day_number(np.datetime64(f"{year}-{day}").astype(object)) for day in ("01-01", "12-31"))
        owner = np.flatnonzero(people & (chunk.people["birth"] <= last) & (chunk.people["death"] >= first))
        parts.append(_own(owner).having(year=np.full(len(owner), year), last=np.full(len(owner), last)))
    frame = Frame.concat(parts)
    owner, born = frame["owner"], _year(chunk.people["birth"])[frame["owner"]]
    age = frame["year"] - born
    group = np.where(age == 0, 0, np.where(age < 5, 1, np.minimum(age // 5 + 1, 18)))
    death = chunk.people["death"][owner]
    person = person_texts(chunk, owner)
    place = choose(_PLACES, chunk.people["person"][owner] % len(_PLACES))
    lines = render(
        _YEAR,
        year=whole(frame["year"]),
        person=person,
        sex=choose(("1", "2"), chunk.people["female"][owner]),
        group=whole(group),
        died=either(death <= frame["last"], _months(np.where(death < NEVER, death, 0)), ""),
        sido=choose([p[:2] for p in _PLACES], chunk.people["person"][owner] % len(_PLACES)),
        sgg=place,
        type=choose(("5", "6", "2", "7"), chunk.people["family"][owner] % 4),
        income=whole(np.where(chunk.people["family"][owner] % 4 == 3, 0, 1 + chunk.people["family"][owner] % 10)),
    )
    return Rendered("qualification", "nhid_jk_2025.csv", frame, lines, person)


def _year(days: Ints) -> Ints:
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def _months(days: Ints) -> pa.StringArray:
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return whole((month // 12 + 1970) * 100 + month % 12 + 1)


def _checkups(chunk: Chunk, people: Flags) -> Rendered:
    taken = chunk.claims.checkup.take(people[chunk.claims.checkup["owner"]])
    frame = _own(taken["owner"])
    person = person_texts(chunk, frame["owner"])
    places = {"hb": 1, "creatinine": 1}
    items = [n for n in taken if n not in ("owner", "day")]
    texts = {n: number_text(taken[n], 1) if n in places else whole(np.round(taken[n])) for n in items}
    return Rendered("checkup", "nhid_gj_2025.csv", frame, render(_CHECKUP, person=person, month=_months(taken["day"]), **texts), person)


def _institutions() -> Rendered:
    frame = institutions()
    hospital = (frame["clinic"] >= CLINICS).astype(np.int64)
    number = whole(70_000 + frame["clinic"])
    lines = render(
        "2025,@id@,@name@,@kind@,11,@beds@,@doctors@\n",
        id=number,
        name=choose(NAMES, frame["clinic"] % len(NAMES)),
        kind=choose(("31", "01"), hospital),
        beds=choose(("0", "800"), hospital),
        doctors=choose(("2", "300"), hospital),
    )
    return Rendered("provider", "nhid_yk_2025.csv", frame, lines, number)


def _statements(chunk: Chunk, people: Flags) -> Rendered:
    frame = delivered(chunk, chunk.claims.claim, people)
    days = np.zeros(len(chunk.claims.claim), dtype=np.int64)
    prescribed = chunk.claims.prescription
    np.maximum.at(days, prescribed["claim"], prescribed["days"])
    medicated = days[frame["source"]]
    key, inpatient = key_texts(chunk, frame["row"]), forms(frame)
    day = compact_days(frame["day"], frame["plant"] == NUMBER["claim_bad_date"])
    money = ("claimed", "claimed_patient", "adjudicated", "adjudicated_patient")
    insurer = {f"{kind}_insurer": whole(frame[kind] - frame[f"{kind}_patient"]) for kind in ("claimed", "adjudicated")}
    lines = render(
        _STATEMENT,
        person=either(frame["plant"] == NUMBER["claim_missing_person"], "", person_texts(chunk, frame["owner"])),
        key=key,
        place=whole(70_000 + frame["clinic"]),
        day=day,
        form=choose(("03", "02"), inpatient),
        main=stated_texts(chunk, frame, 1),
        sub=stated_texts(chunk, frame, 2),
        route=either(frame["route"] > 0, whole(frame["route"]), ""),
        care=whole(frame["days"] + medicated),
        days=whole(frame["days"]),
        admitted=either(inpatient > 0, day, "00000000"),
        grant=render("G@k@", k=key),
        prescribed=whole(medicated),
        **{name: whole(frame[name]) for name in money},
        **insurer,
    )
    return Rendered("statement", "nhid_gy20_t1_2025.csv", frame, lines, key)


def _lines(chunk: Chunk, people: Flags) -> Rendered:
    frame = delivered(chunk, chunk.claims.line, people)
    key = key_texts(chunk, frame["row"])
    lines = render(
        _LINE,
        key=key,
        day=compact_days(chunk.claims.claim["day"][frame["row"]]),
        **line_columns(frame),
    )
    return Rendered("treatment_line", "nhid_gy30_t1_2025.csv", frame, lines, key)


def _diagnoses(chunk: Chunk, people: Flags) -> Rendered:
    frame = delivered(chunk, chunk.claims.diagnosis, people)
    key = key_texts(chunk, frame["row"])
    lines = render(
        _DIAGNOSIS,
        key=either(frame["plant"] == NUMBER["claim_orphan_line"], render("9@k@", k=key), key),
        ordinal=whole(frame["ordinal"]),
        day=compact_days(chunk.claims.claim["day"][frame["row"]]),
        code=sick_texts(chunk, frame["code"], frame["plant"]),
        rank=choose(("2", "1"), frame["ordinal"] == 1),
    )
    return Rendered("diagnosis", "nhid_gy40_t1_2025.csv", frame, lines, key)


def _prescriptions(chunk: Chunk, people: Flags) -> Rendered:
    frame = delivered(chunk, chunk.claims.prescription, people)
    key = key_texts(chunk, frame["row"])
    lines = render(
        _PRESCRIPTION,
        key=key,
        day=compact_days(chunk.claims.claim["day"][frame["row"]]),
        **prescription_columns(frame, chunk.codes.drugs["edi"]),
    )
    return Rendered("prescription", "nhid_gy60_t1_2025.csv", frame, lines, key)
