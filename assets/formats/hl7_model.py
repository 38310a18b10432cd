"""What is read of an HL7 v2 message, as data: segments of each table, and names that stand for more than one field.

Belongs here: facts of the standard (HL7 v2.1 to 2.8, chapters 2 to 10). Does not belong here: bytes, arrays, what may pass
(`assets/privacy/rules/hl7_v2.toml`). Both ways of reading a message (`hl7_columnar`, `hl7_stepwise`) answer from these tables.

A path `SEG-f.c` is the first repetition of field f, its component c, of that the first subcomponent, escape sequences resolved. `SEG-f` is the
whole field as written; it only serves keys and identifier lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class First:
    """The first of several values that is there."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Key:
    """Parts that together name a record; null where `needs` is empty."""

    parts: tuple[str, ...]
    needs: str | None = None


@dataclass(frozen=True)
class Member:
    """True where a value is one of a set, else false."""

    path: str
    values: frozenset[str]


@dataclass(frozen=True)
class Mapped:
    """A value translated; null where the table does not know it."""

    path: str
    table: Mapping[str, str]


@dataclass(frozen=True)
class When:
    """A value that only counts where another is one of a set."""

    path: str
    values: frozenset[str]
    then: Expression


Expression = First | Key | Member | Mapped | When | str

MESSAGES = frozenset(["ADT", "ORU", "ORM", "OML", "OMG", "OUL", "VXU", "MDM", "SIU", "DFT", "BAR"])
"""Message codes (MSH-9.1) that are read. OMG and OUL are the later spellings of ORM and ORU."""

MERGES = frozenset(["A18", "A30", "A34", "A36", "A39", "A40", "A46", "A47"])
"""Events that say that PID-3 and MRG-1 are numbers of one person. Not among them: moves of visits and accounts (A35, A41 to A45, A49 to A51)."""

SEGMENTS: Mapping[str, tuple[str, ...]] = {
    "message": ("MSH",),
    "patient": ("PID",),
    "visit": ("PV1",),
    "diagnosis": ("DG1",),
    "procedure": ("PR1", "FT1"),
    "observation_result": ("OBX",),
    "vaccination": ("RXA",),
    "allergy": ("AL1", "IAM"),
    "document": ("TXA",),
}
"""Table -> segments of which each gives one row."""

CONTEXT = ("EVN", "PID", "MRG", "PV1", "ORC", "OBR")
"""Segments that a row reads besides its own and MSH."""

READ = frozenset({s for names in SEGMENTS.values() for s in names} | set(CONTEXT))
"""Segments that any table reads; the others are counted."""

ENVELOPE = frozenset({"FHS", "BHS", "BTS", "FTS"})

_VISIT_REPORTERS = frozenset({"ADT", "BAR"})

NAMES: Mapping[str, Expression] = {
    "trigger": First(("MSH-9.2", "EVN-1.1")),
    "message_key": Key(("MSH-3.1", "MSH-4.1", "MSH-10.1"), needs="MSH-10.1"),
    "is_registration": Member("MSH-9.1", frozenset({"ADT"})),
    "patient_record": First((When("MSH-9.1", frozenset({"ADT"}), Key(("patient_number", "MSH-9.1"))), Key(("patient_number",)))),
    "is_patient_deleted": Member("trigger", frozenset({"A29"})),
    "is_deceased": Mapped("PID-30.1", {"Y": "true", "N": "false"}),
    "visit_number": First(("PV1-19.1", "PID-18.1")),
    "visit_key": Key(("patient_number", "visit_number"), needs="visit_number"),
    "visit_statement": Key(("patient_number", "visit_number", "MSH-3.1", "MSH-4.1", "MSH-10.1", "MSH-7.1"), needs="visit_number"),
    "visit_started": First(("PV1-44.1", When("trigger", frozenset({"A01", "A04"}), First(("EVN-6.1", "EVN-2.1"))))),
    "visit_ended": First(("PV1-45.1", When("trigger", frozenset({"A03"}), First(("EVN-6.1", "EVN-2.1"))))),
    "visit_state": Mapped(
        "trigger",
        {
            **dict.fromkeys(("A01", "A04", "A06", "A07", "A02", "A03", "A13"), "active"),
            **dict.fromkeys(("A05", "A14"), "planned"),
            **dict.fromkeys(("A11", "A23", "A27", "A38"), "cancelled"),
        },
    ),
    "is_visit_reporter": Member("MSH-9.1", _VISIT_REPORTERS),
    "is_appointment": Member("MSH-9.1", frozenset({"SIU"})),
    "is_document": Member("MSH-9.1", frozenset({"MDM"})),
    "diagnosis_key": First(
        (
            Key(("patient_number", "DG1-20.1"), needs="DG1-20.1"),
            Key(("patient_number", "visit_number", "diagnosis_named", "DG1-5.1", "DG1-6.1")),
        )
    ),
    "diagnosis_named": First(("DG1-3.1", "DG1-3", "DG1-4")),
    "diagnosis_code": "DG1-3.1",
    "diagnosis_system": First(("DG1-3.3", "DG1-2.1")),
    "is_diagnosis_deleted": Member("DG1-21.1", frozenset({"D"})),
    "procedure_key": First(
        (
            Key(("patient_number", "PR1-19.1"), needs="PR1-19.1"),
            Key(("patient_number", "visit_number", "procedure_named", "PR1-5.1", "FT1-2.1", "FT1-4.1")),
        )
    ),
    "procedure_named": First(("procedure_code", "PR1-3", "PR1-4", "FT1-25")),
    "procedure_code": First(("PR1-3.1", "FT1-25.1")),
    "procedure_system": First(("PR1-3.3", "PR1-2.1", "FT1-25.3")),
    "procedure_alternate_code": First(("PR1-3.4", "FT1-25.4")),
    "procedure_alternate_system": First(("PR1-3.6", "FT1-25.6")),
    "performed_at": First(("PR1-5.1", "FT1-4.1")),
    "is_procedure_deleted": Member("PR1-20.1", frozenset({"D"})),
    "order_number": First(("OBR-3.1", "OBR-2.1", "ORC-3.1", "ORC-2.1")),
    "measured_at": First(("OBX-14.1", "OBR-7.1", "OBR-22.1", "MSH-7.1")),
    "result_key": First(
        (
            Key(("patient_number", "order_number", "result_named", "OBX-4.1"), needs="order_number"),
            Key(("patient_number", "result_named", "OBX-4.1", "measured_at")),
        )
    ),
    "result_named": First(("OBX-3.1", "OBX-3")),
    "is_result_deleted": Member("OBX-11.1", frozenset({"D", "W"})),
    "vaccination_key": Key(("patient_number", "RXA-3.1", "vaccine_named")),
    "vaccine_named": First(("RXA-5.1", "RXA-5")),
    "is_vaccination_deleted": Member("RXA-21.1", frozenset({"D"})),
    "allergy_key": Key(("patient_number", "allergy_named")),
    "allergy_named": First(("allergy_code", "AL1-3", "IAM-3")),
    "allergy_code": First(("AL1-3.1", "IAM-3.1")),
    "allergy_system": First(("AL1-3.3", "IAM-3.3")),
    "allergy_type_code": First(("AL1-2.1", "IAM-2.1")),
    "allergy_onset": First(("AL1-6.1", "IAM-11.1")),
    "is_allergy_deleted": Member("IAM-6.1", frozenset({"D"})),
    "document_key": First((Key(("patient_number", "TXA-12"), needs="TXA-12"), Key(("patient_number", "TXA-2", "TXA-4.1")))),
    "documented_at": First(("TXA-4.1", "TXA-6.1", "MSH-7.1")),
    "is_document_deleted": Member("trigger", frozenset({"T11"})),
}
"""Name used in the rules -> how it is found."""

CODED_TYPES = ("CE", "CWE", "CNE", "CF", "ID", "IS")
"""OBX-2 of values that are codes."""

NUMBER_TYPES = ("NM", "ST")
"""OBX-2 of values that may be a number; ST is text, of which only a number passes. SN is put together from its components."""

SCALAR_NAMES = frozenset(
    [
        "patient_number",
        "resident_number",
        "prior_patient_number",
        "numeric_value",
        "coded_value",
        "coded_system",
        "content_digest",
        "segment_count",
        "z_segment_count",
        "unread_segment_count",
    ]
)
"""Names that no expression above can state; `hl7_values` and the two readers know them."""
