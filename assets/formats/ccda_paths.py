"""Paths of the allow-list `assets/privacy/rules/ccda.toml`: where in a CDA document a value stands.

Belongs here: the small language of paths, and walking it. Does not belong here: what a value is worth (`ccda_values`), which path a column has
(the rules).

    effectiveTime/low@value      attribute of an element below the statement; without @ the text of an element, or the element itself
    /recordTarget/patientRole    from the root of the document
    ^act/author/time@value       from the nearest enclosing `act`
    id[@root=1.2.3]@extension    only elements whose attribute has this value
    A|B                          the first that has a value
Names are of the namespace urn:hl7-org:v3 unless they say `sdtc:`, attributes of none unless they say `xsi:`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from lxml import etree

V3 = "{urn:hl7-org:v3}"
_NAMESPACES = {"": V3, "sdtc:": "{urn:hl7-org:sdtc}"}
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_STEP = re.compile(r"(\^?)(sdtc:)?([A-Za-z]+)(?:\[@((?:xsi:)?[A-Za-z]+)=([^\]]+)\])?")

Element = etree._Element


@dataclass(frozen=True)
class Step:
    """One step down, or up (`climbs`) to the nearest enclosing element of that name."""

    tag: str
    climbs: bool
    attribute: str | None
    value: str | None

    def follow(self, node: Element) -> Iterable[Element]:
        """Elements that this step leads to, in document order."""
        if self.climbs:
            found = next(node.iterancestors(self.tag), None)
            return () if found is None else (found,)
        children = node.iterchildren(self.tag)
        return children if self.attribute is None else (c for c in children if c.get(self.attribute) == self.value)


class Place:
    """An element from which paths start. Its children are sorted by name once: a row asks for twenty of them, and most are not there."""

    __slots__ = ("_children", "element", "root")

    def __init__(self, element: Element, root: Element) -> None:
        self.element, self.root = element, root
        self._children: dict[str, list[Element]] | None = None

    def follow(self, step: Step) -> Iterable[Element]:
        """Elements that a first step leads to, in document order."""
        if step.climbs:
            return step.follow(self.element)
        if self._children is None:
            self._children = {}
            for child in self.element:
                self._children.setdefault(child.tag, []).append(child)
        found = self._children.get(step.tag, ())
        return found if step.attribute is None else [c for c in found if c.get(step.attribute) == step.value]


@dataclass(frozen=True)
class Path:
    """One way to a value."""

    from_root: bool
    steps: tuple[Step, ...]
    attribute: str | None

    def elements(self, place: Place) -> list[Element]:
        """All elements it leads to."""
        found = [place.root if self.from_root else place.element]
        for at, step in enumerate(self.steps):
            found = list(place.follow(step)) if not at and not self.from_root else [e for each in found for e in step.follow(each)]
        return found

    def text(self, place: Place) -> str | None:
        """The first value it leads to, stripped; an element with a nullFlavor has none, whatever else it says."""
        if self.from_root or not self.steps:
            return self._text(place.root if self.from_root else place.element, 0)
        for element in place.follow(self.steps[0]):
            if (text := self._text(element, 1)) is not None:
                return text
        return None

    def _text(self, node: Element, at: int) -> str | None:
        if at == len(self.steps):
            if at and node.get("nullFlavor") is not None:
                return None
            text = node.get(self.attribute) if self.attribute else node.text
            return text.strip() or None if text else None
        for element in self.steps[at].follow(node):
            if (text := self._text(element, at + 1)) is not None:
                return text
        return None


@cache
def compile_paths(text: str) -> tuple[Path, ...]:
    """Read the alternatives of a path.

    Raises:
        ValueError: It is no path; that is a defect of the rules file.
    """
    return tuple(_compile(part.strip()) for part in text.split("|"))


def _compile(text: str) -> Path:
    place, _, attribute = text.rpartition("@") if re.search(r"@[A-Za-z:]+$", text) else (text, "", "")
    steps = [_step(part) for part in re.findall(r"[^/\[]+(?:\[[^\]]*\])?", place.removeprefix("/"))]
    return Path(place.startswith("/"), tuple(steps), _attribute(attribute) if attribute else None)


def _step(text: str) -> Step:
    match = _STEP.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no step of a CDA path")
    climbs, prefix, name, attribute, value = match.groups()
    return Step(_NAMESPACES[prefix or ""] + name, bool(climbs), _attribute(attribute) if attribute else None, value)


def _attribute(name: str) -> str:
    return XSI + name.removeprefix("xsi:") if name.startswith("xsi:") else name


def first_text(paths: tuple[Path, ...], place: Place) -> str | None:
    """The first value of the alternatives."""
    for path in paths:
        if (text := path.text(place)) is not None:
            return text
    return None


def first_element(paths: tuple[Path, ...], place: Place) -> Element | None:
    """The first element of the alternatives."""
    for path in paths:
        if found := path.elements(place):
            return found[0]
    return None
