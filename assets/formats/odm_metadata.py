"""MetaDataVersion of a CDISC ODM file -> items.

Belongs here: ItemDef, CodeList, what stands in which group and form. Does not belong here: clinical data (`odm`).
Source: CDISC ODM 1.3.2, section 3.1.3 (MetaDataVersion); REDCap's and OpenClinica's vendor extensions for identifiers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from assets.formats.registry_items import Item, Kind, clean_label

Element = etree._Element
_NUMBERS = frozenset({"integer", "float", "double", "decimal"})
_TYPES = {
    **dict.fromkeys(_NUMBERS, Kind.NUMBER), "boolean": Kind.BOOLEAN, "date": Kind.DATE, "datetime": Kind.DATE_TIME, "time": Kind.TIME,
}  # fmt: skip
_SAYS_YES = frozenset({"y", "yes", "true", "1"})
_IDENTIFYING = frozenset({"identifier", "phi", "contactdata"})


@dataclass
class Structure:
    """Which items stand in which group, and groups in which form (or groups in groups, ODM 2.0)."""

    members: dict[str, list[str]] = field(default_factory=dict)

    def items_of(self, oid: str, seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
        """(group, item) below a form or group."""
        for member in self.members.get(oid, ()):
            if member in self.members and member not in seen:
                yield from self.items_of(member, seen | {oid})
            elif member not in self.members:
                yield oid, member


def local_name(element: Element) -> str:
    """Tag without its namespace."""
    tag: Any = element.tag
    return str(tag).rpartition("}")[2]


def read_metadata(version: Element, structure: Structure) -> Iterator[Item | None]:
    """Items of one MetaDataVersion, in order; None for an ItemDef without OID. `structure` takes in its forms and groups."""
    lists = {_oid(e): _choices(e) for e in _named(version, "CodeList")}
    for element in (*_named(version, "FormDef"), *_named(version, "ItemGroupDef")):
        refs = [r.get("ItemGroupOID") or r.get("ItemOID") for r in element if local_name(r) in ("ItemGroupRef", "ItemRef")]
        structure.members[_oid(element)] = [oid for oid in refs if oid]
    forms = {item: form for form in (_oid(e) for e in _named(version, "FormDef")) for _, item in structure.items_of(form)}
    for element in _named(version, "ItemDef"):
        yield _item(element, lists, forms) if _oid(element) else None


def _item(element: Element, lists: dict[str, dict[str, str]], forms: dict[str, str]) -> Item:
    ref = next(_named(element, "CodeListRef"), None)
    choices = lists.get(ref.get("CodeListOID", ""), {}) if ref is not None else {}
    kind = Kind.CHOICE if choices else _TYPES.get(element.get("DataType", "").lower(), Kind.TEXT)
    if ref is not None and not choices:  # an external list: nobody can say what its codes are
        kind = Kind.TEXT
    said = {str(name).rpartition("}")[2].lower(): str(value).lower() for name, value in element.attrib.items()}
    return Item(
        code=_oid(element),
        form=forms.get(_oid(element), ""),
        kind=kind,
        choices=choices,
        is_identifier=any(said.get(name) in _SAYS_YES for name in _IDENTIFYING),
        label=clean_label(" ".join(t.text or "" for q in _named(element, "Question") for t in _named(q, "TranslatedText"))),
    )


def _choices(element: Element) -> dict[str, str]:
    found = {}
    for item in element:
        if local_name(item) in ("CodeListItem", "EnumeratedItem") and (code := item.get("CodedValue")):
            found[code] = clean_label(next((t.text for t in _named(item, "TranslatedText")), None)) or ""
    return found


def _oid(element: Element) -> str:
    return str(element.get("OID") or "")


def _named(element: Element, name: str) -> Iterator[Element]:
    return (e for e in element.iter("{*}" + name))
