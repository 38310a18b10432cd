"""Items of a registry or questionnaire: what each may hold, and whether that may pass the door.

Belongs here: the dictionary as data, REDCap's data dictionary, what passes. Does not belong here: ODM metadata (`odm_metadata`), single answers
(`registry_values`), branching (`registry_branching`).

Only numbers, dates, yes or no and codes of a closed list pass. What is free text, marked as an identifier, a file, or unknown to the dictionary
does not; it is counted by item.
Source: REDCap 14 help, "Data Dictionary Codebook" (field types and validation types).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """What an item holds."""

    NUMBER = "number"
    DATE = "date"
    DATE_TIME = "datetime"
    TIME = "time"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    CHECKBOX = "checkbox"
    TEXT = "text"
    NOTHING = "nothing"


PASSING = frozenset({Kind.NUMBER, Kind.DATE, Kind.DATE_TIME, Kind.TIME, Kind.BOOLEAN, Kind.CHOICE, Kind.CHECKBOX})
YES_NO = {"1": "Yes", "0": "No"}
STATUS = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
COMPLETE = "_complete"
_LABEL_CHARACTERS = 200
_CODE = re.compile(r"[^\s|,;]{1,60}")
_TAG = re.compile(r"<[^>]*>")
_TELLS = re.compile(r"\d[\d\s-]{5,}|@")
"""Six digits or an address: no label needs them, and a number of a person might stand there."""
_FIELD_TYPES = {
    "yesno": Kind.BOOLEAN,
    "truefalse": Kind.BOOLEAN,
    "radio": Kind.CHOICE,
    "dropdown": Kind.CHOICE,
    "select": Kind.CHOICE,
    "checkbox": Kind.CHECKBOX,
    "calc": Kind.NUMBER,
    "slider": Kind.NUMBER,
    "descriptive": Kind.NOTHING,
    "file": Kind.NOTHING,
}
_VALIDATIONS = ((re.compile("integer|int|number.*|float"), Kind.NUMBER), (re.compile("datetime.*"), Kind.DATE_TIME),
                (re.compile("date.*"), Kind.DATE), (re.compile("time.*"), Kind.TIME))  # fmt: skip
HEADERS: Mapping[str, tuple[str, ...]] = {
    "item": ("Variable / Field Name", "field_name"),
    "form": ("Form Name", "form_name"),
    "type": ("Field Type", "field_type"),
    "label": ("Field Label", "field_label"),
    "choices": ("Choices, Calculations, OR Slider Labels", "select_choices_or_calculations"),
    "validation": ("Text Validation Type OR Show Slider Number", "text_validation_type_or_show_slider_number"),
    "identifier": ("Identifier?", "identifier"),
    "branching": ("Branching Logic (Show field only if...)", "branching_logic"),
    "required": ("Required Field?", "required_field"),
}
"""Columns of a REDCap data dictionary: as the page and as the API export it."""


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes:
        code: Name in the export.
        form: Form or item group it stands on.
        kind: What it holds.
        choices: Code -> label, for choices and checkboxes.
        is_identifier: Marked as identifying by whoever runs the registry.
        is_required: Must be answered.
        branching: Condition under which it is asked; empty for always.
        label: What is asked, without markup; None where it might say too much.
        is_calculated: Nobody answers it; the system works it out, also of a form nobody opened.
    """

    code: str
    form: str = ""
    kind: Kind = Kind.TEXT
    choices: Mapping[str, str] = field(default_factory=dict)
    is_identifier: bool = False
    is_required: bool = False
    branching: str = ""
    label: str | None = None
    is_calculated: bool = False

    @property
    def barrier(self) -> str | None:
        """Why nothing of it passes, or None where it passes."""
        if self.is_identifier:
            return "identifier"
        return None if self.kind in PASSING else "free_text"


@dataclass(frozen=True)
class Place:
    """An item as a column: `food_intolerance___1` is the option 1 of a checkbox."""

    item: Item
    option: str | None = None


class Dictionary:
    """All items that a delivery or its site file declares."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self.items: dict[str, Item] = {}
        self._options: dict[str, Place] = {}
        for item in items:
            self.add(item)

    def add(self, item: Item) -> None:
        """Add or replace an item."""
        self.items[item.code] = item
        if item.kind is Kind.CHECKBOX:
            self._options.update({f"{item.code}___{option_name(code)}": Place(item, code) for code in item.choices})
        if item.form:  # REDCap adds a status to each form
            status = item.form + COMPLETE
            self.items.setdefault(status, Item(status, item.form, Kind.CHOICE, STATUS))

    def override(self, item: Item) -> None:
        """Let the site file say what an item is. What the delivered dictionary marks as identifier stays one."""
        there = self.items.get(item.code)
        if there is not None:
            item = replace(
                item,
                form=item.form or there.form,
                is_identifier=item.is_identifier or there.is_identifier,
                is_required=there.is_required,
                branching=item.branching or there.branching,
                label=item.label or there.label,
                is_calculated=there.is_calculated,
            )
        self.add(item)

    def find(self, column: str) -> Place | None:
        """The item that a column of an export holds."""
        item = self.items.get(column)
        return Place(item) if item is not None else self._options.get(column)

    def __bool__(self) -> bool:
        return bool(self.items)


def option_name(code: str) -> str:
    """How REDCap writes the code of a checkbox option in a column: lower case, and _ for what a name cannot hold."""
    return re.sub(r"[^a-z0-9]", "_", code.lower())


def read_choices(text: str) -> dict[str, str]:
    """`1, Female | 2, Male` -> code and label. A part without a code is left out: no answer can name it."""
    found = {}
    for part in text.split("|"):
        code, comma, label = part.strip().partition(",")
        if comma and _CODE.fullmatch(code.strip()):
            found[code.strip()] = clean_label(label) or ""
    return found


def clean_label(text: str | None) -> str | None:
    """A label without markup, cut to 200 characters; None where it is empty or holds what might be somebody's number or address."""
    plain = " ".join(html.unescape(_TAG.sub(" ", text or "")).split())[:_LABEL_CHARACTERS]
    return None if not plain or _TELLS.search(plain) else plain


def item_of(row: Mapping[str, str]) -> Item:
    """One row of a REDCap data dictionary, by the names of `HEADERS`."""
    kind = _FIELD_TYPES.get(row.get("type", "").strip().lower(), Kind.TEXT)
    if kind is Kind.TEXT and row.get("type", "").strip().lower() == "text":
        validation = row.get("validation", "").strip().lower()
        kind = next((k for pattern, k in _VALIDATIONS if pattern.fullmatch(validation)), Kind.TEXT)
    choices: Mapping[str, str] = {}
    if kind in (Kind.CHOICE, Kind.CHECKBOX):
        choices = read_choices(row.get("choices", ""))
    elif kind is Kind.BOOLEAN:
        choices = YES_NO
    return Item(
        code=row["item"].strip(),
        form=row.get("form", "").strip(),
        kind=kind,
        choices=choices,
        is_identifier=bool(row.get("identifier", "").strip()),
        is_required=bool(row.get("required", "").strip()),
        branching=row.get("branching", "").strip(),
        label=clean_label(row.get("label")),
        is_calculated=row.get("type", "").strip().lower() == "calc",
    )


def dictionary_columns(headers: Iterable[str]) -> dict[str, int] | None:
    """Where the columns of a data dictionary stand, or None where the headers are those of another table."""
    places = {name.strip().casefold(): at for at, name in enumerate(headers)}
    found = {ours: places[name.casefold()] for ours, names in HEADERS.items() for name in names if name.casefold() in places}
    return found if {"item", "type"} <= found.keys() else None
