"""One StudyEventData of CDISC ODM -> a record.

Belongs here: forms, groups, items, transactions below an event. Does not belong here: files and subjects (`odm`), what a record becomes
(`registry_rows`).
Source: CDISC Operational Data Model 1.3.2, sections 2.6 and 3.1.4; 1.2 and 2.0 where they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from assets.formats.odm_metadata import Structure, local_name
from assets.formats.registry_rows import Cell, Sheet

Element = etree._Element
REMOVE, CONTEXT = "Remove", "Context"
TRANSACTIONS = frozenset({"", "Insert", "Update", "Upsert", REMOVE, CONTEXT})
_PREFIX = re.compile(r"^(?:Event|Form)\.")
"""REDCap writes its own names behind these."""


class UnclearTransactionError(ValueError):
    """A record of which it is not clear what it changes; `rule` names the attribute."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class EventReader:
    """Reads events of one file."""

    def __init__(self, structure: Structure, *, is_snapshot: bool) -> None:
        """`structure` says what a form holds that is removed whole."""
        self._structure, self._is_snapshot = structure, is_snapshot

    def sheet(self, element: Element, person: str, inherited: str) -> Sheet:
        """One StudyEventData as a record.

        Raises:
            UnclearTransactionError: It is not clear what it changes.
        """
        transaction = transaction_of(element, inherited)
        _known(transaction, "StudyEventData/@TransactionType")
        cells = list(self._cells(element, transaction, "", "", "", ""))
        return Sheet(
            person=person,
            event=_PREFIX.sub("", str(element.get("StudyEventOID") or "")),
            instance=_repeat(element, "StudyEventRepeatKey"),
            instrument="",
            cells=cells,
            is_snapshot=self._is_snapshot and not transaction,
            is_removed=transaction == REMOVE,
            start=_start_date(element),
        )

    def _cells(
        self, element: Element, transaction: str, form: str, form_repeat: str, group: str, group_repeat: str
    ) -> Iterator[Cell]:  # fmt: skip
        """Items below an event, a form or a group; ODM 2.0 nests groups."""
        for child in element:
            name = local_name(child)
            if name == "FormData":
                own = _PREFIX.sub("", str(child.get("FormOID") or ""))
                yield from self._below(child, transaction, own, _repeat(child, "FormRepeatKey"), "", "")
            elif name == "ItemGroupData":
                own = str(child.get("ItemGroupOID") or "")
                yield from self._below(child, transaction, form, form_repeat, own, _repeat(child, "ItemGroupRepeatKey"))
            elif name.startswith("ItemData"):
                yield from self._item(child, transaction, (form, form_repeat, group, group_repeat))

    def _below(self, child: Element, transaction: str, form: str, form_repeat: str, group: str, group_repeat: str) -> Iterator[Cell]:
        own = transaction_of(child, transaction)
        _known(own, f"{local_name(child)}/@TransactionType")
        found = list(self._cells(child, own, form, form_repeat, group, group_repeat))
        if own == REMOVE and transaction != REMOVE and not found:
            found = self._everything_below(child, form, form_repeat, group_repeat)
        yield from found

    def _everything_below(self, child: Element, form: str, form_repeat: str, group_repeat: str) -> list[Cell]:
        """A form or group that is removed without saying what it held: all items that the metadata gives it."""
        oid = str(child.get("FormOID") or child.get("ItemGroupOID") or "")
        found = [Cell(item, "", form, form_repeat, group, group_repeat, is_removed=True) for group, item in self._structure.items_of(oid)]
        if not found:
            raise UnclearTransactionError(f"{local_name(child)}/@TransactionType")
        return found

    def _item(self, element: Element, transaction: str, place: tuple[str, str, str, str]) -> Iterator[Cell]:
        own = transaction_of(element, transaction)
        _known(own, "ItemData/@TransactionType")
        if own == CONTEXT:  # tells where a change belongs, and changes nothing
            return
        text = "" if own == REMOVE or element.get("IsNull") == "Yes" else _text(element)
        yield Cell(str(element.get("ItemOID") or ""), text, *place, is_removed=own == REMOVE)


def _text(element: Element) -> str:
    """Attribute Value (ItemData), the element's own text (ItemDataString ...), or its Value children (ODM 2.0)."""
    if (value := element.get("Value")) is not None:
        return str(value).strip()
    values = [child for child in element if local_name(child) == "Value"]
    return " ".join((v.text or "").strip() for v in values).strip() if values else (element.text or "").strip()


def transaction_of(element: Element, inherited: str) -> str:
    """Transaction type of an element; those below inherit it."""
    return str(element.get("TransactionType") or inherited)


def _known(transaction: str, rule: str) -> None:
    if transaction not in TRANSACTIONS:
        raise UnclearTransactionError(rule)


def _repeat(element: Element, name: str) -> str:
    """A repeat key; the first of a thing that does not repeat is written with and without it."""
    key = str(element.get(name) or "")
    return "" if key == "1" else key


def _start_date(element: Element) -> str:
    """When the event took place, where a vendor says so (OpenClinica:StartDate and others of that name)."""
    return next((str(value) for name, value in element.attrib.items() if str(name).rpartition("}")[2] == "StartDate"), "")
