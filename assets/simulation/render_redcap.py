"""Registry r11: a REDCap project exported as CSV the way a German-speaking study office does: semicolons, DD.MM.YYYY, decimal commas.

Belongs here: the data dictionary, rows as text. Does not belong here: who is in the registry and what it knows (`registry`), what the items mean (the
site file `assets/sites/r11.toml`).
Source: REDCap 14 help, "Data exports" (raw data, CSV), "Longitudinal projects", "Repeating instruments and events".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Frame, Ints
from assets.simulation.identities import patient_keys, patient_texts
from assets.simulation.kernels import choose, day_text, either, number_text, render
from assets.simulation.registry import CONSENTS, DIAGNOSES, RESULTS, Registry
from assets.simulation.units import in_second_unit

SITE = "r11"
DATA, DICTIONARY = "registry.csv", "dictionary.csv"
_CONSENT_ITEMS = ("consent", *(f"consent_{scope}" for scope in CONSENTS[1:]))
_OPTIONS = tuple(f"diagnosis___{number}" for number in range(1, len(DIAGNOSES) + 1))
_ENROLMENT = ("participant_name", "rrn", "sex", "dob", "consent_date", "consent_until", *_CONSENT_ITEMS, "enrolment_complete")
_VISIT = ("visit_date", *_OPTIONS, *RESULTS, "memo", "visit_complete")
HEADERS: Mapping[str, str] = {
    DATA: ";".join(("study_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", *_ENROLMENT, *_VISIT)),
    DICTIONARY: (
        "Variable / Field Name;Form Name;Field Type;Field Label;Choices, Calculations, OR Slider Labels;"
        "Text Validation Type OR Show Slider Number;Identifier?;Branching Logic (Show field only if...);Required Field?"
    ),
}
_LABELS = {"hba1c": "당화혈색소 (%)", "creatinine": "크레아티닌 (umol/L)", "sbp": "수축기혈압 (mmHg)", "dbp": "이완기혈압 (mmHg)"}


def render_redcap(chunk: Chunk, registry: Registry) -> list[Rendered]:
    """The export of one chunk; the dictionary stands beside the first chunk of each delivery."""
    parts = [_participants(chunk, registry.participant), _visits(chunk, registry.visit)]
    return _together(parts) if chunk.index else [_dictionary(chunk), *_together(parts)]


def _together(parts: list[Rendered]) -> list[Rendered]:
    """Participants and visits are rows of one file; the participants of a delivery come first."""
    frames = [Frame({name: part.frame[name] for name in ("owner", "delivery", "plant")}) for part in parts]
    every = Frame.concat(frames)
    order = np.argsort(every["delivery"], kind="stable")
    row = pa.array(order)
    kinds = choose([part.entity for part in parts], np.repeat(np.arange(len(parts)), [len(f) for f in frames]))
    lines = pa.concat_arrays([part.body for part in parts])
    ids = pa.concat_arrays([part.ids for part in parts])
    return [Rendered("event", DATA, every.take(order), lines.take(row), ids.take(row), kinds.take(row))]


def _dictionary(chunk: Chunk) -> Rendered:
    """One row an item, and one that says which export it is: else months in which nothing happened would be the same delivery again."""
    options = " | ".join(
        f"{number}, {chunk.codes.conditions['name'][chunk.codes.conditions.number(keys[0])]}" for number, keys in enumerate(DIAGNOSES, 1)
    )
    rows = [
        "study_id;enrolment;text;연구 번호;;;;;y", "participant_name;enrolment;text;성명;;;y;;", "rrn;enrolment;text;주민등록번호;;;y;;",
        'sex;enrolment;radio;성별;"1, 여 | 2, 남";;;;y', "dob;enrolment;text;생년월일;;date_dmy;y;;y",
        "consent_date;enrolment;text;동의일;;date_dmy;;;y", "consent_until;enrolment;text;동의 만료일;;date_dmy;;;",
        "consent;enrolment;yesno;동의;;;;;y",
        *(f"{item};enrolment;yesno;동의: {item};;;;[consent] = '1';" for item in _CONSENT_ITEMS[1:]),
        "visit_date;visit;text;방문일;;date_dmy;;;y", f'diagnosis;visit;checkbox;진단;"{options}";;;;',
        *(f"{item};visit;text;{_LABELS[item]};;number_1dp_comma_decimal;;;" for item in RESULTS),
        "memo;visit;notes;비고;;;;;",
    ]  # fmt: skip
    exports = chunk.country.delivery_ids
    lines = [f"{row}\n" for export in exports for row in (*rows, f"export;visit;descriptive;{export};;;;;")]
    plain = np.zeros(len(lines), dtype=np.int64)
    frame = Frame({"owner": plain, "plant": plain, "delivery": np.repeat(np.arange(len(exports)), len(rows) + 1)})
    return Rendered("dictionary_item", DICTIONARY, frame, pa.array(lines))


def _participants(chunk: Chunk, frame: Frame) -> Rendered:
    owner, row = frame["owner"], pa.array(frame["owner"])
    number = patient_texts(patient_keys(chunk.people, owner, 0 * owner), seed=chunk.seed, site=SITE)
    consents = {item: choose(("0", "1"), frame["granted"][:, place]) for place, item in enumerate(_CONSENT_ITEMS)}
    last_day = np.where(frame["until"] < NEVER, frame["until"] - 1, frame["until"])
    lines = render(
        "@study_id@;enrolment_arm_1;;;" + ";".join(f"@{name}@" for name in _ENROLMENT[:-1]) + ";2" + ";" * len(_VISIT) + "\n",
        study_id=number,
        participant_name=chunk.names["name"].take(row),
        rrn=chunk.resident.take(row),
        sex=choose(("2", "1"), chunk.people["female"][owner]),
        dob=_dmy(chunk.people["birth"][owner]),
        consent_date=_dmy(frame["day"]),
        consent_until=_dmy(last_day),
        **consents,
    )
    return Rendered("participant", DATA, frame, lines, number)


def _visits(chunk: Chunk, frame: Frame) -> Rendered:
    owner, plant = frame["owner"], frame["plant"]
    odd = plant == NUMBER["registry_withheld"]
    number = patient_texts(patient_keys(chunk.people, owner, 0 * owner), seed=chunk.seed, site=SITE)
    person = either(plant == NUMBER["missing_person"], "", number)
    instance = pa.array(frame["instance"]).cast(pa.string())
    ticks = {name: either(odd, "9", choose(("0", "1"), frame["diagnosis"][:, place])) for place, name in enumerate(_OPTIONS)}
    results = {name: either(odd, "hoch", _result(chunk, frame, place)) for place, name in enumerate(RESULTS)}
    lines = render(
        "@study_id@;visit_arm_1;;@instance@" + ";" * len(_ENROLMENT) + ";" + ";".join(f"@{name}@" for name in _VISIT[:-1]) + ";2\n",
        study_id=person,
        instance=instance,
        visit_date=_dmy(frame["day"]),
        memo=either(frame["instance"] % 4 == 0, render("@name@ 님 전화함", name=chunk.names["name"].take(pa.array(owner))), ""),
        **ticks,
        **results,
    )
    return Rendered("visit", DATA, frame, lines, render("@n@;visit_arm_1;;@i@", n=number, i=instance))


def _result(chunk: Chunk, frame: Frame, place: int) -> pa.StringArray:
    """One result with a decimal comma, nothing where there is none; creatinine in umol/L."""
    value, known = frame["result"][:, place], ~np.isnan(frame["result"][:, place])
    number = np.full(len(frame), chunk.codes.labs.number(RESULTS[place]))
    shown = in_second_unit(chunk.codes, number, np.where(known, value, 0.0), np.full(len(frame), RESULTS[place] == "creatinine"))
    text = pc.replace_substring(number_text(shown, 2), ".", ",")
    return either(known, text, "")


def _dmy(days: Ints) -> pa.StringArray:
    """`25.10.2020`, nothing where the day is NEVER."""
    iso = day_text(days)
    parts = {name: pc.utf8_slice_codeunits(iso, *span) for name, span in {"y": (0, 4), "m": (5, 7), "d": (8, 10)}.items()}
    return either(np.asarray(iso.is_valid()), render("@d@.@m@.@y@", **parts), "")
