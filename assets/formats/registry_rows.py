"""One record of a registry -> rows of its tables, every item of it accounted for.

Belongs here: what an answer becomes, missing values, dates, participants, counts. Does not belong here: where records come from (`redcap`, `odm`).

Each item of a record ends in one of six ways, and the event row counts them: an answer, a missing answer with its reason, withheld (counted by
item and reason in `withheld_item`), identity (to the vault or the participant), removed, or empty (of a form that nobody opened at this event,
or of an item that would not pass anyway).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from assets.formats.registry_branching import Reference, was_asked
from assets.formats.registry_consent import ConsentEvent, consent_of
from assets.formats.registry_items import COMPLETE, Dictionary, Item, Kind, Place, option_name
from assets.formats.registry_settings import SCOPES, Settings
from assets.formats.registry_values import Value, ValueReader

JOIN = "\x1f"
OTHER_ITEM = "(other)"
"""Stands for an item whose name is no name of a variable: it might be anything."""
_VARIABLE = re.compile(r"(?!.*\d{6})[A-Za-z][A-Za-z0-9_.-]{0,99}")
_EVENT_CODE = re.compile(r"[\w.:-]{1,64}")
_SHORT_NUMBER = re.compile(r"\d{1,9}")

Facts = dict[str, Any]
Elsewhere = Mapping[tuple[str, str], str]
"""Values of the same person in other records: (event, column) -> text."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One item as delivered. ODM tells form and group and their repeats; REDCap's columns do not."""

    column: str
    text: str
    form: str = ""
    form_repeat: str = ""
    group: str = ""
    group_repeat: str = ""
    is_removed: bool = False

    @property
    def occurrence(self) -> str:
        """What tells it apart from the same item elsewhere in the record."""
        return JOIN.join((self.form, self.form_repeat, self.group, self.group_repeat, self.column))


@dataclass(frozen=True, slots=True)
class Sheet:
    """One record: what one person says at one event, or an instance of it."""

    person: str
    event: str
    instance: str
    instrument: str
    cells: Sequence[Cell]
    is_snapshot: bool = True
    is_removed: bool = False
    is_person_removed: bool = False
    start: str = ""

    @property
    def key(self) -> str:
        """Made of participant, event and instance."""
        return JOIN.join((self.person, self.event, self.instrument, self.instance))


@dataclass
class Made:
    """Rows of one record by table, and what it withholds."""

    rows: dict[str, list[Facts]] = field(default_factory=dict)
    withheld: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, entity: str, facts: Facts) -> None:
        """Add a row."""
        self.rows.setdefault(entity, []).append(facts)


class RowMaker:
    """Makes the rows of records of one site."""

    def __init__(self, settings: Settings, dictionary: Dictionary, zone: ZoneInfo) -> None:
        self._settings, self._dictionary = settings, dictionary
        self._values = ValueReader(date_order=settings.date_order, decimal=settings.decimal, zone=zone)
        self._identity = {settings.person, settings.resident_number, settings.birth_date, settings.birth_year} - {""}

    def make(self, sheet: Sheet, elsewhere: Elsewhere) -> Made:
        """Rows of one record."""
        return _Record(self, sheet, elsewhere).made()

    # what the record needs of the site

    @property
    def settings(self) -> Settings:
        """The site's settings."""
        return self._settings

    @property
    def values(self) -> ValueReader:
        """Reads answers."""
        return self._values

    def find(self, column: str) -> Place | None:
        """Item of a column."""
        return self._dictionary.find(column)

    def is_identity(self, column: str) -> bool:
        """Is it for the vault or the participant, never an answer?"""
        return column in self._identity

    def missing_code(self, item: Item, text: str) -> str | None:
        """What a missing code of the site stands for."""
        codes = self._settings.missing_codes
        return codes.get(f"{item.code}={text}") or codes.get(text)


class _Record:
    """The work on one record."""

    def __init__(self, maker: RowMaker, sheet: Sheet, elsewhere: Elsewhere) -> None:
        self._maker, self._sheet, self._elsewhere = maker, sheet, elsewhere
        self._cells = {cell.occurrence: cell for cell in sheet.cells}
        self._texts: dict[str, str] = {}
        for cell in self._cells.values():
            if cell.text and not cell.is_removed:
                self._texts.setdefault(cell.column, cell.text)
        self._seen = self._forms_seen()
        self._days: dict[str, date | None] = {}
        self._event_name = _event_code(sheet.event)
        self._counts: Counter[str] = Counter()
        self._found = Made()

    def made(self) -> Made:
        sheet = self._sheet
        twice = len(sheet.cells) - len(self._cells)
        if twice:
            self._counts["withheld"] += twice
            self._found.withheld["(item)", "given_twice"] += twice
        for cell in self._cells.values():
            self._counts[self._cell(cell)] += 1
        if not sheet.is_removed and not sheet.is_person_removed:
            self._participant()
        self._consent()
        self._found.add("event", self._event())
        return self._found

    # --- items

    def _cell(self, cell: Cell) -> str:
        """Account for one item; returns how it ended."""
        if self._maker.is_identity(cell.column):
            return "identity"
        place = self._maker.find(cell.column)
        if place is None or (barrier := place.item.barrier):
            if not cell.text:
                return "empty"
            known = place is not None or _VARIABLE.fullmatch(cell.column)
            return self._withhold(cell.column if known else OTHER_ITEM, barrier if place is not None and barrier else "unknown_item")
        if cell.is_removed:
            self._answer(cell, place, Value(), None, is_deleted=True)
            return "removed"
        return self._declared(cell, place)

    def _declared(self, cell: Cell, place: Place) -> str:
        item = place.item
        asked = was_asked(item.branching, self._look)
        is_unticked = place.option is not None and cell.text == "0"
        if (not cell.text or is_unticked) and not self._is_seen(cell, item):
            return "empty"
        if not cell.text or (is_unticked and asked is not True):
            self._answer(cell, place, Value(), {True: "not_answered", False: "not_asked", None: "undetermined"}[asked])
            return "missing"
        if (reason := self._maker.missing_code(item, cell.text)) is not None:
            listed = cell.text if cell.text in item.choices and place.option is None else None
            self._answer(cell, place, Value(code=listed), reason)
            return "missing"
        value = self._maker.values.read(place, cell.text)
        self._answer(cell, place, value, "withheld" if value.withheld else None)
        return self._withhold(item.code, value.withheld) if value.withheld else "answer"

    def _withhold(self, item: str, reason: str) -> str:
        self._found.withheld[item, reason] += 1
        return "withheld"

    def _answer(self, cell: Cell, place: Place, value: Value, missing: str | None, *, is_deleted: bool = False) -> None:
        item = place.item
        self._found.add("answer", {
            "key": self._sheet.key + JOIN + cell.occurrence, "person": self._sheet.person, "event_key": self._sheet.key,
            "event": self._event_name, "observed": self._observed(item), "form": item.form or _event_code(cell.form),
            "form_instance": _number(cell.form_repeat), "group_instance": _number(cell.group_repeat), "item": item.code,
            "option": place.option, "code": value.code, "number": value.number, "day": value.day, "at": value.at,
            "missing": missing, "is_deleted": is_deleted,
        })  # fmt: skip

    def _observed(self, item: Item) -> date | None:
        if item.form not in self._days:
            settings = self._maker.settings
            by_form = settings.form_dates.get(item.form, "")
            self._days[item.form] = self._day(by_form) or self._day(settings.event_date) or self._maker.values.day(self._sheet.start[:10])
        return self._days[item.form]

    # --- was it asked?

    def _forms_seen(self) -> set[str]:
        """Forms that somebody opened at this event."""
        seen = set()
        for cell in self._cells.values():
            place = self._maker.find(cell.column)
            if place is None or not cell.text:
                continue
            form = place.item.form or cell.form
            if cell.column == form + COMPLETE:
                if cell.text in ("1", "2"):
                    seen.add(form)
            elif not place.item.is_calculated and not (place.option is not None and cell.text == "0"):
                seen.add(form)
        return seen

    def _is_seen(self, cell: Cell, item: Item) -> bool:
        return (item.form or cell.form) in self._seen

    def _look(self, reference: Reference) -> str:
        column = reference.item if reference.option is None else f"{reference.item}___{option_name(reference.option)}"
        if reference.event is None or reference.event == self._sheet.event:
            if (text := self._texts.get(column)) is not None:
                return text
            return self._elsewhere.get((self._sheet.event, column), "")
        return self._elsewhere.get((reference.event, column), "")

    # --- the person

    def _ask(self, item: str) -> str:
        return self._texts.get(item, "")

    def _day(self, item: str) -> date | None:
        """A date, or the day of an instant as it is written."""
        text = self._ask(item) if item else ""
        return (self._maker.values.day(text) or self._maker.values.day(text[:10])) if text else None

    def _participant(self) -> None:
        settings = self._maker.settings
        sex = self._ask(settings.sex)
        gender = "male" if sex and sex in settings.male else "female" if sex and sex in settings.female else None
        birth = self._birth()
        if gender is None and birth is None:
            return
        year, month, day, is_estimated = birth or (None, None, None, None)
        self._found.add("participant", {
            "key": self._sheet.key, "person": self._sheet.person, "gender": gender,
            "birth_year": year, "birth_month": month, "birth_day": day, "is_estimated": is_estimated,
        })  # fmt: skip

    def _birth(self) -> tuple[int, int | None, int | None, bool] | None:
        settings = self._maker.settings
        if day := self._day(settings.birth_date):
            return day.year, day.month, day.day, False
        if re.fullmatch(r"(?:18|19|20|21)\d\d", year := self._ask(settings.birth_year)):
            return int(year), None, None, False
        rule = settings.age
        bounds = rule.ages.get(self._ask(rule.item)) if rule is not None else None
        if rule is None or bounds is None or (at := self._day(rule.at)) is None:
            return None
        return at.year - sum(bounds) // 2, None, None, True

    def _consent(self) -> None:
        rule, sheet = self._maker.settings.consent, self._sheet
        if rule is None or sheet.is_person_removed:
            return
        gate = self._maker.find(rule.gate)
        is_seen = gate is not None and bool(gate.item.form) and gate.item.form in self._seen
        taken_back = (ConsentEvent(scope, "none", None) for scope in SCOPES) if sheet.is_removed else None
        for said in taken_back or consent_of(rule, self._ask, self._maker.values.day, is_form_seen=is_seen):
            self._found.add("consent_event", {
                "key": self._sheet.key + JOIN + said.scope, "person": self._sheet.person, "scope": said.scope, "type": said.type,
                "effective": said.effective, "until": said.until, "form": rule.form,
            })  # fmt: skip

    # --- the record

    def _event(self) -> Facts:
        sheet = self._sheet
        number = self._ask(self._maker.settings.resident_number)
        said = hashlib.sha256()
        for occurrence, cell in sorted(self._cells.items()):
            said.update(f"{occurrence}\x1e{cell.text}\x1e{cell.is_removed}\n".encode("utf-8", "surrogatepass"))
        day = self._day(self._maker.settings.event_date) or self._maker.values.day(sheet.start[:10])
        names = ("answer", "missing", "withheld", "identity", "removed", "empty")
        return {
            "key": sheet.key, "person": sheet.person, "resident": number or None, "event": _event_code(sheet.event), "date": day,
            "instrument": _event_code(sheet.instrument), "instance": _number(sheet.instance), "is_snapshot": sheet.is_snapshot,
            "is_deleted": sheet.is_removed, "is_person_removed": sheet.is_person_removed, "content": said.hexdigest(),
            "items": len(sheet.cells), **{f"{name}_count": self._counts[name] for name in names},
        }  # fmt: skip


def _event_code(text: str) -> str | None:
    """Names of events and forms pass where they are a code."""
    return text if text and _EVENT_CODE.fullmatch(text) else None


def _number(text: str) -> int | None:
    return int(text) if _SHORT_NUMBER.fullmatch(text) else None


def dictionary_row(item: Item) -> Facts:
    """A row of the dictionary table."""
    listed = item.choices if item.kind in (Kind.CHOICE, Kind.CHECKBOX) else {}
    return {
        "key": item.code, "item": item.code, "form": _event_code(item.form), "kind": str(item.kind), "is_identifier": item.is_identifier,
        "passes": item.barrier is None, "is_required": item.is_required, "has_branching": bool(item.branching), "label": item.label,
        "choices": " | ".join(f"{code}, {label}" for code, label in listed.items()) or None,
    }  # fmt: skip


def withheld_rows(withheld: Counter[tuple[str, str]], file: int) -> list[Facts]:
    """Rows of the table of what was withheld from one file."""
    return [
        {"key": JOIN.join((str(file), item, reason)), "item": item, "reason": reason, "count": count}
        for (item, reason), count in sorted(withheld.items())
    ]
