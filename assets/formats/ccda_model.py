"""Which part of a C-CDA document goes to which table, and the names of values that no single path holds.

Belongs here: templates, the patient's number, keys of statements, parts. Does not belong here: columns (`assets/privacy/rules/ccda.toml`), reading
values (`ccda_values`).
Source: HL7 Implementation Guide for CDA R2: Consolidated CDA Templates, R1.1 (2012) and R2.1 (2015), entry templates. A template keeps its root from
release to release, and only its extension changes, so roots alone decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from assets.formats.ccda_paths import V3, Element, Path, Place, compile_paths, first_element, first_text
from assets.formats.reasons import FileRefused, Reason

JOIN = "\x1f"
_ROOT = "2.16.840.1.113883.10.20.22.4."

TEMPLATES: dict[str, tuple[str, str | None]] = {
    _ROOT + "4": ("problem", None),
    _ROOT + "16": ("medication", None),
    _ROOT + "52": ("immunization", None),
    _ROOT + "12": ("procedure", None),  # Procedure Activity Act
    _ROOT + "13": ("procedure", None),  # Procedure Activity Observation
    _ROOT + "14": ("procedure", None),  # Procedure Activity Procedure
    _ROOT + "49": ("encounter", None),
    _ROOT + "7": ("allergy", None),
    _ROOT + "90": ("allergy", None),  # Substance or Device Allergy
    _ROOT + "2": ("observation", "laboratory"),
    _ROOT + "27": ("observation", "vital-signs"),
    _ROOT + "38": ("observation", "social-history"),
    _ROOT + "78": ("observation", "social-history"),  # smoking status
    "2.16.840.1.113883.10.22.4.78": ("observation", "social-history"),  # as R1.1 printed it
    _ROOT + "85": ("observation", "social-history"),  # tobacco use
    _ROOT + "511": ("observation", "social-history"),  # smoking status since 2024
}
"""Root of a template -> table and category."""

_STATEMENTS = tuple(V3 + name for name in ("act", "encounter", "observation", "procedure", "substanceAdministration"))
_NATIONAL = frozenset({"2.16.840.1.113883.4.1", "1.2.410.100110.40.1.1"})
"""Numbers of a state (US social security, Korean resident registration): the patient's number only where there is no other."""

_TARGETS = compile_paths("/recordTarget")
_PATIENT_IDS = compile_paths("/recordTarget/patientRole/id")
_DOCUMENT_ID = compile_paths("/id")
_HEADER_ENCOUNTER = compile_paths("/componentOf/encompassingEncounter")
_IDS = compile_paths("id")
_SECTION_CODE = compile_paths("^section/code@code")
_START = compile_paths("effectiveTime/low@value|effectiveTime@value")
_SAID = tuple(
    compile_paths(path)
    for path in (
        "code@code|code/translation@code", "value@code|value@value|value/low@value|value/high@value|value/translation@code",
        "consumable/manufacturedProduct/manufacturedMaterial/code@code|consumable/manufacturedProduct/manufacturedMaterial/code/translation@code",
        "participant/participantRole/playingEntity/code@code|participant/participantRole/playingEntity/code/translation@code",
        "effectiveTime/low@value|effectiveTime@value|^organizer/effectiveTime@value",
    )
)  # fmt: skip
"""What tells two statements apart that share an id, or have none."""


@dataclass
class Context:
    """Named values of one row. A rule's path that is one of these names takes its value from here."""

    patient_number: str
    document_key: str
    content_digest: str
    part_key: str = ""
    part_kind: str = ""
    section_code: str | None = None
    template_code: str | None = None
    statement_count: int = 0
    statement_key: str | None = None
    encounter_key: str | None = None
    category_code: str | None = None


NAMES = frozenset(f.name for f in fields(Context))


@dataclass
class Statement:
    """One clinical statement that a table holds.

    Attributes:
        part: Number of the record it belongs to.
        place: Its element.
        entity: Its table.
        category: Its `category_code`.
        template: Root of the template that says so.
    """

    part: int
    place: Place
    entity: str
    category: str | None
    template: str


@dataclass(frozen=True)
class Part:
    """One delivered record: number from 1, and its place (the root, or an `entry`)."""

    number: int
    place: Place


def patient_number(document: Place, own_authority: str) -> str:
    """The number by which the vault knows the patient: the site's own if it names its authority, else the first that is no state's.

    Raises:
        FileRefused: `missing_person`: nobody, or several people.
    """
    if len(_TARGETS[0].elements(document)) > 1:
        raise FileRefused(
            Reason.MISSING_PERSON, "the document is about several patients, and its entries do not say which", rule="recordTarget"
        )
    ids = [pair for e in _PATIENT_IDS[0].elements(document) if (pair := _identifier(e))]
    own = [extension for authority, extension in ids if own_authority and authority == own_authority and extension]
    if own:
        return own[0]
    ranked = sorted(ids, key=lambda pair: (pair[0] in _NATIONAL, not pair[1]))
    if not ranked:
        raise FileRefused(Reason.MISSING_PERSON, "recordTarget/patientRole/id has no value", rule="recordTarget/patientRole/id")
    return "|".join(ranked[0])


def document_key(document: Place, digest: str) -> str:
    """The document's own number; where it has none, its bytes."""
    return _first_identifier(document, _DOCUMENT_ID) or digest


def parts_of(document: Place) -> list[Part]:
    """Records of a document, in its order; `entry` by local name, as the independent counter cannot know namespaces."""
    return [Part(1, document), *(Part(n, Place(e, document.root)) for n, e in enumerate(document.root.iter("{*}entry"), 2))]


def section_code(entry: Place) -> str | None:
    """Code of the section around an entry."""
    return first_text(_SECTION_CODE, entry)


def template_of(entry: Place) -> str | None:
    """First template of the statement in an entry."""
    for child in entry.element.iterchildren(
        *_STATEMENTS, V3 + "organizer", V3 + "supply", V3 + "observationMedia", V3 + "regionOfInterest"
    ):
        for template in child.iterchildren(V3 + "templateId"):
            return template.get("root")
    return None


def statements_of(parts: list[Part]) -> Iterator[Statement]:
    """Every statement about the patient that a table holds, part by part.

    Left out: statements with a nullFlavor (they state nothing), and those about somebody else (`subject`, as in family history).
    """
    root = parts[0].place.root
    header = first_element(_HEADER_ENCOUNTER, parts[0].place)
    if header is not None:
        yield Statement(1, Place(header, root), "encounter", None, "")
    others = next(root.iter(V3 + "subject"), None) is not None
    for part in parts[1:]:
        if next(part.place.element.iterancestors("{*}entry"), None) is not None:
            continue  # the entry around it was asked for all below it
        for element in part.place.element.iter(*_STATEMENTS):
            kind = _kind(element)
            if kind is None or element.get("nullFlavor") is not None or (others and _is_about_another(element)):
                continue
            yield Statement(part.number, Place(element, root), *kind)


def _kind(element: Element) -> tuple[str, str | None, str] | None:
    for template in element.iterchildren(V3 + "templateId"):
        root = template.get("root") or ""
        if root in TEMPLATES:
            return (*TEMPLATES[root], root)
    return None


def _is_about_another(element: Element) -> bool:
    return any(e.find(V3 + "subject") is not None for e in (element, *element.iterancestors()))


def statement_keys(patient: str, statements: list[Statement]) -> dict[Element, str]:
    """Key of each statement: patient and id.

    An id that different statements of the document share is none, and neither is a missing one: then what is said tells them apart. Ids alone would let
    the vital signs of one copied template replace each other.
    """
    ids = [_first_identifier(s.place, _IDS) for s in statements]
    same: dict[tuple[str, str | None], list[Statement]] = {}
    for statement, own in zip(statements, ids, strict=True):
        same.setdefault((statement.entity, own), []).append(statement)
    keys = {}
    for (_, own), several in same.items():
        said = [_said(s) for s in several] if own is None or len(several) > 1 else [""]
        shared = own is None or len(set(said)) > 1
        for statement, words in zip(several, said, strict=True):
            keys[statement.place.element] = JOIN.join((patient, own or "", words) if shared else (patient, str(own)))
    return keys


def _said(statement: Statement) -> str:
    if statement.entity == "encounter":  # header and body write the same visit with other codes and times
        return (first_text(_START, statement.place) or "")[:8]
    return "|".join(first_text(path, statement.place) or "" for path in _SAID)


def _first_identifier(place: Place, paths: tuple[Path, ...]) -> str | None:
    pairs = (_identifier(e) for path in paths for e in path.elements(place))
    return next(("|".join(pair) for pair in pairs if pair), None)


def _identifier(element: Element) -> tuple[str, str] | None:
    """Root and extension of an instance identifier (II); an OID without extension names a system, a UUID an object."""
    root, extension = (element.get("root") or "").strip(), (element.get("extension") or "").strip()
    if element.get("nullFlavor") is not None or not root:
        return None
    return root, extension
