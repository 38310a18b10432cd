"""Consent columns of a registry -> one consent event for each scope.

Belongs here: the strict reading of such columns. Does not belong here: which columns they are (the site file), what consent means (`consent_relation`).

| the record says | becomes, for each scope |
|---|---|
| nothing in any consent column, and the form is not marked as seen | nothing |
| gate yes, date sound, every item of the scope yes | a grant from that date |
| gate yes, an item of the scope no, empty or not understood | a withdrawal |
| gate yes, no item stands for the scope | none: a row that says nothing, so that a correction takes an earlier one back |
| gate no, empty or not understood; no date, or one that does not exist | a withdrawal of every scope; without a date on every day |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from assets.formats.registry_settings import SCOPES, ConsentRule

Ask = Callable[[str], str]
"""Text of an item in the record; empty where there is none."""
Day = Callable[[str], date | None]


@dataclass(frozen=True)
class ConsentEvent:
    """What a record says of one scope. `effective` is null only where a withdrawal has no date."""

    scope: str
    type: str
    effective: date | None
    until: date | None = None


def consent_of(rule: ConsentRule, ask: Ask, day: Day, *, is_form_seen: bool) -> Iterator[ConsentEvent]:
    """Consent events of one record, one for each scope or none at all."""
    columns = {rule.gate, rule.date, rule.until, *rule.scopes} - {""}
    if not is_form_seen and not any(ask(column) for column in columns):
        return
    effective = day(ask(rule.date))
    until = day(ask(rule.until)) if rule.until and ask(rule.until) else None
    is_sound = effective is not None and not (rule.until and ask(rule.until) and until is None)
    is_given = is_sound and ask(rule.gate) in rule.yes
    for scope in SCOPES:
        items = [item for item, scopes in rule.scopes.items() if scope in scopes]
        if not is_given:
            yield ConsentEvent(scope, "withdraw", effective)
        elif not items:
            yield ConsentEvent(scope, "none", effective)
        elif all(ask(item) in rule.yes for item in items):
            yield ConsentEvent(scope, "grant", effective, until)
        else:
            yield ConsentEvent(scope, "withdraw", effective)
