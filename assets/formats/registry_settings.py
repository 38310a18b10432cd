"""What a site file says of its registry: `[feeds.<feed>.registry]`, checked.

Belongs here: reading that table. Does not belong here: items (`registry_items`), what is done with them (`registry_rows`, `registry_consent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assets.formats.registry_items import YES_NO, Item, Kind, clean_label

SCOPES = ("clinical", "genomic", "specimen", "claims", "lifelog", "imaging", "recontact", "commercial", "overseas")
"""What a person may consent to. `consent_scopes()` of `dbt_project/macros/consent.sql` is the same list; a test keeps them equal."""
MISSING = ("refused", "unknown", "not_applicable", "not_answered", "not_asked")
"""What a missing code of a site may stand for."""
DATE_ORDERS = ("ymd", "dmy", "mdy")


class SettingsError(ValueError):
    """The table does not hold. `field` names the entry, `remedy` what to write."""

    def __init__(self, field: str, what: str, remedy: str) -> None:
        super().__init__(f"{field}: {what}. Remedy: {remedy}")
        self.field, self.what, self.remedy = field, what, remedy


@dataclass(frozen=True)
class AgeRule:
    """Year of birth from an age group: the middle of the group, counted back from the year of the date `at`."""

    item: str
    at: str
    ages: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class ConsentRule:
    """Which answers are consent.

    Attributes:
        scopes: Item -> what a yes to it grants; an item that grants nothing we know has none.
        gate: The item without whose yes nothing is granted.
        date: Item with the day of consent.
        until: Item with the last day, if there is one.
        yes, no: Answers that say so; any other answer is not understood.
        form: Code of the consent form.
    """

    scopes: Mapping[str, tuple[str, ...]]
    gate: str
    date: str
    until: str = ""
    yes: tuple[str, ...] = ("1",)
    no: tuple[str, ...] = ("0",)
    form: str | None = None


@dataclass(frozen=True)
class Settings:
    """One site's registry. Items are named by their codes, columns of CSV files by their headers.

    Attributes:
        person: Item with the participant's number (CSV; ODM has SubjectKey).
        resident_number: Item with a Korean resident number: to the vault only.
        event, repeat_instrument, repeat_instance: Columns that tell records of one person apart.
        event_date, form_dates: Item that dates a record, and those that date the answers of one form.
        date_order, decimal: How dates and numbers are written; ISO 8601 dates are read in any order (ODM prescribes them).
        sex, male, female: Item and its codes.
        birth_date, birth_year: Items.
        age: Where neither is known.
        missing_codes: `code` or `item=code` -> one of `MISSING`.
        items: What the site file itself declares; the delivered dictionary goes before it, except that an item it marks as identifier stays one.
        columns: Header -> item, where they differ.
    """

    person: str = ""
    resident_number: str = ""
    event: str = "redcap_event_name"
    repeat_instrument: str = "redcap_repeat_instrument"
    repeat_instance: str = "redcap_repeat_instance"
    event_date: str = ""
    form_dates: Mapping[str, str] = field(default_factory=dict)
    date_order: str = "ymd"
    decimal: str = "."
    sex: str = ""
    male: tuple[str, ...] = ()
    female: tuple[str, ...] = ()
    birth_date: str = ""
    birth_year: str = ""
    age: AgeRule | None = None
    missing_codes: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    consent: ConsentRule | None = None


_TEXTS = ("person", "resident_number", "event", "repeat_instrument", "repeat_instance", "event_date", "sex", "birth_date", "birth_year")
_KNOWN = frozenset(
    (*_TEXTS, "form_dates", "date_order", "decimal", "male", "female", "age", "missing_codes", "items", "columns", "consent")
)  # fmt: skip


def read_settings(raw: Mapping[str, Any]) -> Settings:
    """Check the decoded table.

    Raises:
        SettingsError: Names the entry and what to write instead.
    """
    _only(raw, _KNOWN, "registry")
    given: dict[str, Any] = {name: _text(raw, name) for name in _TEXTS if name in raw}
    for name, allowed in (("date_order", DATE_ORDERS), ("decimal", (".", ","))):
        if name in raw:
            given[name] = _one_of(name, raw[name], allowed)
    for name in ("male", "female"):
        given[name] = _texts(raw, name)
    for code, meaning in _table(raw, "missing_codes").items():
        _one_of(f"missing_codes.{code}", meaning, MISSING)
    for name in ("form_dates", "missing_codes", "columns"):
        given[name] = {str(k): str(v) for k, v in _table(raw, name).items()}
    given["items"] = tuple(_item(code, body) for code, body in _table(raw, "items").items())
    given["age"] = _age(_table(raw, "age")) if "age" in raw else None
    given["consent"] = _consent(_table(raw, "consent")) if "consent" in raw else None
    return Settings(**given)


def _item(code: str, body: Any) -> Item:
    where = f"items.{code}"
    if not isinstance(body, dict):
        raise SettingsError(where, "is no table", 'write {type = "number"}')
    _only(body, {"type", "form", "choices", "branching", "is_identifier", "label"}, where)
    kind = Kind(_one_of(f"{where}.type", body.get("type"), tuple(Kind)))
    choices = {str(k): clean_label(str(v)) or "" for k, v in _table(body, "choices").items()}
    if kind in (Kind.CHOICE, Kind.CHECKBOX) and not choices:
        raise SettingsError(f"{where}.choices", "is missing: only listed codes pass", 'write choices = {"1" = "Yes", "2" = "No"}')
    if kind is Kind.BOOLEAN:
        choices = choices or YES_NO
    return Item(
        code, str(body.get("form", "")), kind, choices, bool(body.get("is_identifier")), False, str(body.get("branching", "")),
        clean_label(body.get("label")),
    )  # fmt: skip


def _age(raw: Mapping[str, Any]) -> AgeRule:
    ages = _table(raw, "ages")
    for code, bounds in ages.items():
        if not (isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(b, int) for b in bounds)):
            raise SettingsError(f"age.ages.{code}", "is no pair of whole years", "write for example [18, 24]")
    return AgeRule(_text(raw, "item"), _text(raw, "at"), {str(k): (v[0], v[1]) for k, v in ages.items()})


def _consent(raw: Mapping[str, Any]) -> ConsentRule:
    _only(raw, {"gate", "date", "until", "yes", "no", "form", "scopes"}, "consent")
    scopes = {}
    for item, granted in _table(raw, "scopes").items():
        if not isinstance(granted, list):
            raise SettingsError(f"consent.scopes.{item}", "is no list", 'write ["clinical"], or [] where it grants nothing')
        scopes[item] = tuple(_one_of(f"consent.scopes.{item}", scope, SCOPES) for scope in granted)
    return ConsentRule(
        scopes, _text(raw, "gate"), _text(raw, "date"), str(raw.get("until", "")), _texts(raw, "yes") or ("1",), _texts(raw, "no") or ("0",),
        str(raw["form"]) if "form" in raw else None,
    )  # fmt: skip


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise SettingsError(name, "is no text", f'write {name} = "..."')
    return value


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = raw.get(name, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise SettingsError(name, "is no list of texts", f'write {name} = ["1"]')
    return tuple(value)


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name, {})
    if not isinstance(value, Mapping):
        raise SettingsError(name, "is no table", f"write [..registry.{name}]")
    return value


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingsError(name, f"{value!r} is not allowed", f"use one of {', '.join(allowed)}")
    return str(value)


def _only(raw: Mapping[str, Any], allowed: Any, where: str) -> None:
    for name in raw:
        if name not in allowed:
            raise SettingsError(f"{where}.{name}", "is no entry here", f"use one of {', '.join(sorted(allowed))}")
