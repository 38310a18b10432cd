"""FHIR paths of the allow-list -> what to decode of a resource and how to get a value out of it.

Belongs here: the path language, the msgspec types made from it. Does not belong here: rows, references, dates (`fhir_columns`).

Path language: `a.b[0].c`; `extension(us-core-race)` is the extension whose url ends in that segment; `identifier(system~x|y)` is the first
identifier whose system contains one of the texts, `identifier(type=MR|PI)` the first with one of these codes; `contained(#a.b)` is the
contained resource that the reference at a.b names; `p|q` are alternatives, the first that has a value counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec

from assets.formats.job import Column, EntityPlan
from assets.formats.spool import is_identifier_list

Getter = Callable[[list[Any]], list[Any]]
"""Takes a column of decoded values, gives a column of the same length; nulls stay null."""

_SEGMENT = re.compile(r"([A-Za-z]\w*)(?:\[(\d+)\]|\(([^()]*)\))?")
_RAW_OBJECT: Any = dict[str, msgspec.Raw]
_SCALARS: Mapping[str, type] = {"float64": float, "int32": int, "int64": int, "bool": bool}


class PathError(ValueError):
    """A path of the allow-list cannot be read. It names the path; that is a defect of the rules file, not of the data."""


@dataclass(frozen=True)
class Segment:
    """One step: a field, then an element of it by position or by predicate."""

    name: str
    index: int | None = None
    predicate: str | None = None


@dataclass(frozen=True)
class Source:
    """One alternative of a column: where its value lies.

    Attributes:
        key: Top-level key of the resource.
        path: The whole alternative, for messages.
        steps: Applied one after the other to the decoded values of that key.
        inner: Where the value lies in a contained resource.
    """

    key: str
    path: str
    steps: tuple[Getter, ...]
    inner: Inner | None = None

    @property
    def is_reference(self) -> bool:
        """The path ends in a FHIR reference, which has to be normalised."""
        return self.path.rsplit(".", 1)[-1] == "reference"

    def get(self, values: list[Any]) -> list[Any]:
        """Values of the column."""
        for step in self.steps:
            values = step(values)
        return values


@dataclass(frozen=True)
class Inner:
    """The value of a contained resource (R4 2.3.0.2): it is read for the reference that names it and for nothing else.

    Attributes:
        pointer: The reference.
        source: Where the value lies in the contained resource.
        decoder: Of the top-level key of the contained resource that `source` reads.
    """

    pointer: Source
    source: Source
    decoder: msgspec.json.Decoder[Any]

    def get(self, reference: str | None, contained: Sequence[Any] | None) -> Any:
        """The value, or None where the reference does not name a contained resource that has it.

        Raises:
            msgspec.ValidationError: It has another shape.
        """
        if not reference or not contained or not reference.startswith("#"):
            return None
        wanted = msgspec.json.encode(reference[1:])
        found: Mapping[str, msgspec.Raw] = next((r for r in contained if r is not None and bytes(r.get("id", b"")) == wanted), {})
        return self.source.get([self.decoder.decode(found[self.source.key])])[0] if self.source.key in found else None


@dataclass
class Compiled:
    """Everything that reading one entity needs.

    Attributes:
        types: Top-level key -> msgspec type of its value.
        sources: Column name -> alternatives in order.
    """

    types: dict[str, Any]
    sources: dict[str, tuple[Source, ...]]


def compile_plan(plan: EntityPlan, *, lenient: bool = False) -> Compiled:
    """Compile the paths of one entity.

    Args:
        plan: Columns and identity of the entity.
        lenient: The entity takes resources of many types: an array where an object is usual (Account.subject) is no error; it counts if
            it has one element.

    Raises:
        PathError: A path or verb that FHIR does not have.
    """
    root = _Node()
    sources: dict[str, tuple[Source, ...]] = {}
    for column in plan.columns:
        sources[column.name] = tuple(_source(root, column, path) for path in alternatives(column.path))
    for system, path in plan.identity.items():
        verb = "aliases" if is_identifier_list(path) else "keep"
        column = Column(f"_identity_{system}", "string", False, verb, None, path)
        sources[column.name] = tuple(_source(root, column, path) for path in alternatives(path))
    types = {key: node.type(key, lenient=lenient) for key, node in root.children.items()}
    if lenient:
        sources = {name: tuple(Source(s.key, s.path, (_only, *s.steps)) for s in found) for name, found in sources.items()}
    return Compiled(types, sources)


def alternatives(path: str) -> list[str]:
    """Split at `|` outside brackets."""
    return _split(path, "|")


def _split(text: str, mark: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def segments(path: str) -> list[Segment]:
    """Read one alternative.

    Raises:
        PathError: It is not in the path language.
    """
    found = []
    for part in _split(path, "."):
        match = _SEGMENT.fullmatch(part)
        if match is None:
            raise PathError(f"cannot read {part!r} in path {path!r}")
        name, index, predicate = match.groups()
        found.append(Segment(name, int(index) if index else None, predicate))
    return found


@dataclass
class _Node:
    """One JSON value that some path reads: a scalar, an object with known fields, or a list of either."""

    scalar: Any = None
    many: bool = False
    children: dict[str, _Node] = field(default_factory=dict)

    def child(self, name: str, *, many: bool = False) -> _Node:
        node = self.children.setdefault(name, _Node(many=many))
        if node.many != many:
            raise PathError(f"{name!r} is read as a list and as a single value")
        return node

    def is_a(self, scalar: Any) -> None:
        if self.scalar not in (None, scalar):
            raise PathError(f"one value is read as {self.scalar} and as {scalar}")
        self.scalar = scalar

    def have(self, *names: str) -> None:
        """Fields of text."""
        for name in names:
            self.child(name).is_a(str)

    def type(self, name: str, *, lenient: bool = False) -> Any:
        """Type to decode; null is read like absence everywhere, as servers write it against the standard."""
        if self.scalar is not None and self.children:
            raise PathError(f"{name!r} is read as a scalar and as an object")
        inner: Any = self.scalar or self._struct(name)
        if self.many:
            return list[inner | None] | None
        return inner | list[inner] | None if lenient and self.children else inner | None

    def _struct(self, name: str) -> Any:
        fields = [(f"f_{child}", node.type(child), None) for child, node in self.children.items()]
        return msgspec.defstruct(f"Fhir_{name}", fields, rename=lambda f: f[2:], gc=False)


def _source(root: _Node, column: Column, path: str) -> Source:
    found = segments(path)
    if found[0].name == "contained":
        return _contained(root, column, path, found[0])
    steps: list[Getter] = []
    node = root
    for number, segment in enumerate(found):
        last = number == len(found) - 1
        whole_list = last and column.verb in ("codings", "components", "aliases")
        node = node.child(segment.name, many=whole_list or segment.index is not None or segment.predicate is not None)
        if number:
            steps.append(_field(segment.name))
        if segment.index is not None:
            steps.append(_element(segment.index))
        if segment.predicate is not None:
            steps.append(_matching(node, segment.predicate))
    if (end := _end(node, column, found[-1])) is not None:
        steps.append(_each(end))
    return Source(found[0].name, path, tuple(steps))


def _contained(root: _Node, column: Column, path: str, first: Segment) -> Source:
    """`contained(#pointer).rest`: the rest is read in the contained resource."""
    if not (first.predicate or "").startswith("#"):
        raise PathError(f"{path!r} does not say which reference names the contained resource")
    pointer = _source(root, Column("pointer", "string", False, "keep", None, ""), str(first.predicate)[1:])
    root.child("contained", many=True).is_a(_RAW_OBJECT)
    inside = _Node()
    source = _source(inside, column, path.partition(").")[2])
    return Source("contained", path, (), Inner(pointer, source, msgspec.json.Decoder(inside.children[source.key].type(source.key))))


def _end(node: _Node, column: Column, last: Segment) -> Callable[[Any], Any] | None:
    """Give the node at the end of a path its type; return what turns one value of it into the column's."""
    if column.verb == "codings":
        node.have("system", "code")
        return _codings
    if column.verb == "components":
        coding = node.child("code").child("coding", many=True)
        coding.have("system", "code")
        node.child("valueQuantity").have("unit", "code")
        node.child("valueQuantity").child("value").is_a(float)
        return _components
    if column.verb == "present":
        node.is_a(Any)
        return _is_there
    if column.verb not in ("aliases", "person", "record", "keep", "year", "month", "day"):
        raise PathError(f"the verb {column.verb!r} of column {column.name!r} has no meaning for FHIR")
    if last.name == "identifier":
        node.have("system", "value")
        return _identifiers if column.verb == "aliases" else _identifier
    node.is_a(_SCALARS.get(column.type, str) if column.verb == "keep" else str)
    return None


def _is_there(value: Any) -> bool | None:
    """True, or null like all that is absent: `[]` and `{}` say nothing."""
    return None if value in ([], {}) else True


def _codings(codings: Sequence[Any]) -> list[dict[str, Any]] | None:
    found = [{"system": c.f_system or None, "code": c.f_code} for c in codings if c is not None and c.f_code]
    return found or None


def _components(components: Sequence[Any]) -> list[dict[str, Any]] | None:
    found = []
    for component in components:
        if component is None:
            continue
        coding = next((c for c in (component.f_code and component.f_code.f_coding) or () if c is not None), None)
        quantity = component.f_valueQuantity
        found.append(
            {
                "system": coding and coding.f_system,
                "code": coding and coding.f_code,
                "value_number": quantity and quantity.f_value,
                "value_unit": quantity and (quantity.f_code or quantity.f_unit),
            }
        )
    return found or None


def _identifier(value: Any) -> str | None:
    """`system|value`, or the bare value where there is no system."""
    if not value.f_value:
        return None
    return f"{value.f_system}|{value.f_value}" if value.f_system else str(value.f_value)


def _identifiers(values: Sequence[Any]) -> list[str] | None:
    found = [text for v in values if v is not None and (text := _identifier(v))]
    return found or None


def _each(function: Callable[[Any], Any]) -> Getter:
    return lambda values: [None if v is None else function(v) for v in values]


def _field(name: str) -> Getter:
    return _each(attrgetter(f"f_{name}"))


def _element(index: int) -> Getter:
    return lambda values: [v[index] if v is not None and len(v) > index else None for v in values]


def _matching(node: _Node, predicate: str) -> Getter:
    """`(us-core-race)` looks at the url of an extension, `(system~a|b)` into the named field, `(type=A|B)` at codes of the named concept."""
    name, equals, codes = predicate.partition("=")
    if equals:
        node.child(name).child("coding", many=True).have("code")
        concept_of, accepted = attrgetter(f"f_{name}"), frozenset(codes.split("|"))
        return _each(lambda values: next((v for v in values if v is not None and accepted & _codes(concept_of(v))), None))
    name, tilde, texts = predicate.partition("~")
    field_name, wanted = (name, tuple(texts.split("|"))) if tilde else ("url", (predicate,))
    node.have(field_name)
    text_of = attrgetter(f"f_{field_name}")

    def fits(text: str) -> bool:
        return any(w in text for w in wanted) if tilde else text.rsplit("/", 1)[-1] == predicate

    return _each(lambda values: next((v for v in values if v is not None and text_of(v) and fits(text_of(v))), None))


def _codes(concept: Any) -> set[str]:
    return {c.f_code for c in (concept and concept.f_coding) or () if c is not None and c.f_code}


def _only(values: list[Any]) -> list[Any]:
    """Of an array take the single element; of several none, because none of them is the one meant."""
    return [(v[0] if len(v) == 1 else None) if isinstance(v, list) else v for v in values]
