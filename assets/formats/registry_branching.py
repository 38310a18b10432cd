"""REDCap branching logic: was an item asked?

Belongs here: the language of conditions and its three answers. Does not belong here: where values come from (`registry_rows`).

Understood: references `[item]`, `[item(option)]`, `[event][item]`, texts, numbers, = <> != < <= > >=, and, or, not, brackets. Functions, arithmetic
and smart variables are not: then nobody knows whether the item was asked, and that is what is said.
Source: REDCap 14 help, "Branching logic / conditional logic".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    r"\s*(?:(?P<ref>(?:\[[^\[\]]+\]){1,2})|(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<op><=|>=|<>|!=|=|<|>)|(?P<word>and|or|not)\b|(?P<bracket>[()]))",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NAME = re.compile(r"\[([a-z][a-z0-9_]*)(?:\(([^()]+)\))?\]")
_EVENT = re.compile(r"\[([a-z0-9_]+)\](?=\[)")
_LONGEST = 4_000


@dataclass(frozen=True)
class Reference:
    """A value that a condition asks for. `event` None: of the same record."""

    item: str
    option: str | None
    event: str | None


Lookup = Callable[[Reference], str]
"""The text of a value; empty where there is none."""
Condition = Callable[[Lookup], bool]


class _NotUnderstoodError(ValueError):
    pass


def was_asked(condition: str, lookup: Lookup) -> bool | None:
    """Does a condition hold? None where it cannot be read."""
    if not condition:
        return True
    compiled = _compile(condition)
    return None if compiled is None else compiled(lookup)


def references(condition: str) -> list[Reference]:
    """What a condition asks for; empty where it cannot be read."""
    try:
        return [_reference(m["ref"]) for m in _tokens(condition) if m["ref"]]
    except _NotUnderstoodError:
        return []


@lru_cache(4096)
def _compile(condition: str) -> Condition | None:
    try:
        return _Parser(list(_tokens(condition))).whole()
    except (_NotUnderstoodError, RecursionError):
        return None


def _tokens(condition: str) -> Iterator[re.Match[str]]:
    text = condition.strip()
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or len(text) > _LONGEST:
            raise _NotUnderstoodError
        yield match
        at = match.end()


def _reference(text: str) -> Reference:
    event = _EVENT.match(text)
    name = _NAME.fullmatch(text, event.end() if event else 0)
    if name is None:
        raise _NotUnderstoodError
    return Reference(name[1], name[2], event[1] if event else None)


class _Parser:
    """Recursive descent: or < and < not < comparison."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens, self._at = tokens, 0

    def whole(self) -> Condition:
        found = self._either()
        if self._at < len(self._tokens):
            raise _NotUnderstoodError
        return found

    def _take(self, kind: str, *texts: str) -> str | None:
        if self._at == len(self._tokens):
            return None
        text = self._tokens[self._at][kind]
        if text is None or (texts and text.lower() not in texts):
            return None
        self._at += 1
        return str(text)

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._take("word", "or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda look: any(part(look) for part in parts)

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._take("word", "and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda look: all(part(look) for part in parts)

    def _one(self) -> Condition:
        if self._take("word", "not"):
            inner = self._one()
            return lambda look: not inner(look)
        if self._take("bracket", "("):
            inner = self._either()
            if not self._take("bracket", ")"):
                raise _NotUnderstoodError
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        left, operator, right = self._term(), self._take("op"), self._term()
        if operator is None:
            raise _NotUnderstoodError
        return lambda look: _compare(left(look), operator, right(look))

    def _term(self) -> Callable[[Lookup], str]:
        if (ref := self._take("ref")) is not None:
            reference = _reference(ref)
            return lambda look: look(reference)
        if (text := self._take("text")) is not None:
            return lambda look: text[1:-1]
        if (number := self._take("number")) is not None:
            return lambda look: number
        raise _NotUnderstoodError


def _compare(left: str, operator: str, right: str) -> bool:
    """Numbers as numbers, anything else as text; what is empty is neither more nor less than anything."""
    a: float | str = left.strip()
    b: float | str = right.strip()
    if operator not in ("=", "<>", "!=") and "" in (a, b):
        return False
    if _NUMBER.fullmatch(str(a)) and _NUMBER.fullmatch(str(b)):
        a, b = float(a), float(b)
    else:
        a, b = str(a), str(b)
    if operator == "=":
        return a == b
    if operator in ("<>", "!="):
        return a != b
    if operator == "<":
        return a < b  # type: ignore[operator]
    if operator == "<=":
        return a <= b  # type: ignore[operator]
    return a > b if operator == ">" else a >= b  # type: ignore[operator]
