"""Canaries in JSON, XML and HL7 v2: where people stand, where they do not belong, and in what no parser can read.

Belongs here: formats that are a tree or a list of segments. Does not belong here: tables (`tables`), what is delivered (`plant`).
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tests.canaries.needles import KINDS, STRUCTURED, Flock
from tests.canaries.tables import residents_replaced

_PERSONAL = {"text", "display", "family", "given", "line", "city", "source_name", "postalCode"}
_TIME = re.compile(r"(19|20)\d\d-?[01]\d-?[0-3]\d([T\d].*)?")
"""Values that pass as days or times only. A name in place of any other text may be a code for all that anybody can tell."""


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _leaves(inner, (*path, at))
    else:
        yield path, value


def _put(value: Any, path: Sequence[Any], new: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = new


def _kinds(value: Any) -> tuple[str, ...]:
    return KINDS if not isinstance(value, str) or _TIME.fullmatch(value) else STRUCTURED


class JsonPlanter:
    """Plants canaries in lines of JSON: FHIR resources and Open mHealth data points."""

    def __init__(self, flock: Flock, where: str, person: str) -> None:
        """`person`: pattern of the numbers that name people, with one group."""
        self._flock, self._where, self._person = flock, where, re.compile(person)

    def file(self, content: bytes) -> bytes:
        """The file with canaries, then records that are wrong."""
        text = residents_replaced(content.decode(errors="ignore"), self._flock, f"{self._where} resident number")
        text = self._person.sub(lambda m: self._flock.instead_of("record number", m[0], f"{self._where} person"), text)
        records = [r for line in text.splitlines() if (r := _parsed(line)) is not None]
        lines = [json.dumps(self._planted(r), ensure_ascii=at % 2 == 0) for at, r in enumerate(records)]
        lines += [json.dumps(r, ensure_ascii=False) for r in self._mutated(records[0])]
        return ("\n".join([*lines, *self._malformed(records[0])]) + "\n").encode()

    def _planted(self, record: dict[str, Any]) -> dict[str, Any]:
        record, flock, where = copy.deepcopy(record), self._flock, f"{self._where} text"
        for path, value in list(_leaves(record)):
            named = {step for step in path if isinstance(step, str)}
            if isinstance(value, str) and (named & _PERSONAL or ("telecom" in named and path[-1] == "value")):
                _put(record, path, flock.any(where))
        record["text"] = {"status": "generated", "div": f"<div>{flock.any(where)}</div>"}
        record["note"] = [{"text": flock.any(where)}]
        record["extension"] = [{"url": "urn:x", "valueString": flock.any(where)}]
        record["비고"] = flock.any(where)
        return record

    def _mutated(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A record for each value: a canary where something else belongs; and for each object: a canary as a key."""
        for number, (path, value) in list(enumerate(_leaves(record)))[:: self._flock.every]:
            changed = copy.deepcopy(record)
            _put(changed, path, self._flock.any(f"{self._where} value of {'.'.join(map(str, path))}", _kinds(value)))
            yield changed
            keyed = copy.deepcopy(record)
            holder = keyed
            for step in path[:-1]:
                holder = holder[step]
            if isinstance(holder, dict) and number % 3 == 0:
                holder[self._flock.any(f"{self._where} key in {'.'.join(map(str, path[:-1]))}")] = self._flock.any(
                    f"{self._where} unknown key"
                )
                yield keyed
            if isinstance(path[-1], str):
                wrapped = copy.deepcopy(record)
                _put(
                    wrapped,
                    path,
                    {
                        self._flock.any(f"{self._where} object where a value belongs"): [
                            self._flock.any(f"{self._where} object where a value belongs")
                        ]
                    },
                )
                yield wrapped

    def _malformed(self, record: dict[str, Any]) -> Iterator[str]:
        flock, where = self._flock, f"{self._where} malformed record"
        line = json.dumps(record, ensure_ascii=False)
        yield line[:-1] + f',"{flock.any(where)}":'
        yield line[:-1] + f',"x":{flock.any(where)}}}'
        key = flock.any(where)
        yield line[:-1] + f',"{key}":1,"{key}":2}}'
        yield f'"{flock.any(where)}"'
        yield f'["{flock.any(where)}"]'
        yield flock.any(where)
        yield json.dumps({"resourceType": flock.any(where), "id": flock.any(where)}, ensure_ascii=False)
        yield '{"a":' * 100 + f'"{flock.any(where)}"' + "}" * 100
        yield line[:-1] + f',"y":"{flock.any(where)}\udcff"}}'.encode("utf-8", "replace").decode()


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class XmlPlanter:
    """Plants canaries in an XML document."""

    def __init__(self, flock: Flock, where: str, person: str, free: str) -> None:
        """`person`: pattern of numbers that name people; `free`: pattern of what is text, each with one group."""
        self._flock, self._where = flock, where
        self._person, self._free = re.compile(person), re.compile(free)

    def _with(self, pattern: re.Pattern[str], text: str, place: str, kind: str | None = None) -> str:
        def replaced(match: re.Match[str]) -> str:
            new = self._flock.instead_of(kind, match[1], place) if kind else self._flock.any(place)
            return match[0].replace(match[1], new, 1)

        return pattern.sub(replaced, text)

    def planted(self, content: bytes) -> str:
        """The document with canaries where people stand."""
        text = residents_replaced(content.decode(), self._flock, f"{self._where} resident number")
        text = self._with(self._person, text, f"{self._where} person", "record number")
        return self._with(self._free, text, f"{self._where} text")

    def files(self, content: bytes) -> Iterator[bytes]:
        """The document with canaries; then a document for each attribute with one where something else belongs; then what is no document."""
        text = self.planted(content)
        yield text.encode()
        seen = set()
        for match in re.finditer(r'<([\w:]+)((?: [\w:]+="[^"]*")+)/?>', content.decode()):
            for attribute in re.finditer(r' ([\w:]+)="([^"]*)"', match[2]):
                if (match[1], attribute[1]) not in seen and not attribute[1].startswith("xmlns"):
                    seen.add((match[1], attribute[1]))
                    if len(seen) % self._flock.every:
                        continue
                    canary = self._flock.any(f"{self._where} attribute {match[1]}/{attribute[1]}", _kinds(attribute[2]))
                    at = match.start(2) + attribute.start(2)
                    whole = content.decode()
                    yield (whole[:at] + canary + whole[at + len(attribute[2]) :]).encode()
        yield from self._broken(content.decode())

    def _broken(self, text: str) -> Iterator[bytes]:
        flock, where = self._flock, f"{self._where} broken document"
        head, mark, tail = text.partition("?>")
        tag = flock.one("name", where)
        yield (head + mark + f"<!DOCTYPE x [<!ENTITY {tag} '{flock.any(where)}'>]>" + tail).encode()
        yield (text[: len(text) // 2] + flock.any(where)).encode()
        yield text.replace("</", f"<{tag}></", 1).encode()
        yield text.replace("</", f"&{tag};</", 1).encode()
        yield text.replace("</", f'<a {tag}="1" {tag}="2"/></', 1).encode()
        yield text.replace("</", f"<{tag}:a/></", 1).encode()
        yield text.replace("UTF-8", flock.one("romanised name", where).replace(" ", ""), 1).encode()
        yield text.replace("UTF-8", "UTF-16", 1).encode()
        yield (head + mark + f"<{tag}>{flock.any(where)}</{tag}>").encode()
        yield text.replace("</", f"{flock.any(where)}".replace("@", " ") + "\x01</", 1).encode()
        yield text.encode("cp949").replace(b"</", flock.one("name", where).encode("cp949") + b"\xff</", 1)


class Hl7Planter:
    """Plants canaries in a file of messages."""

    def __init__(self, flock: Flock, where: str, encoding: str) -> None:
        self._flock, self._where, self._encoding = flock, where, encoding

    def file(self, content: bytes) -> bytes:
        """The file with canaries, then messages that are wrong."""
        text = residents_replaced(content.decode(self._encoding, errors="ignore"), self._flock, f"{self._where} resident number")
        messages = [m for m in re.split(r"\r(?=MSH\|)", "\r" + re.sub(r"\r(BTS|FTS).*", "", text, flags=re.DOTALL)) if m.startswith("MSH")]
        out = [self._planted(message) for message in messages]
        changed = [c for m in {m.split("|")[8]: m for m in messages}.values() for c in self._mutated(m)]
        out += [c.replace("|P|2.5", f"X{number}|P|2.5", 1) for number, c in enumerate(changed[:: self._flock.every], 1)]
        out += self._malformed(messages[0])
        return "\r".join(out).encode(self._encoding, errors="replace") + b"\r"

    def _planted(self, message: str) -> str:
        flock, where = self._flock, f"{self._where} text"
        segments = message.rstrip("\r").split("\r")
        out = []
        for segment in segments:
            fields = segment.split("|")
            if fields[0] == "PID":
                fields += [""] * (31 - len(fields))
                fields[3] = re.sub(r"^\d+", lambda m: flock.instead_of("record number", m[0], f"{self._where} person"), fields[3])
                for at in (5, 6, 9, 12, 13, 14, 18, 20, 23):
                    fields[at] = flock.any(where)
                fields[11] = f"{flock.any(where)}^{flock.any(where)}^^{fields[11].split('^')[3] if fields[11].count('^') > 2 else ''}"
            out.append("|".join(fields))
        out += [
            f"NK1|1|{flock.any(where)}|SPO|{flock.any(where)}|{flock.any(where)}",
            f"NTE|1||{flock.any(where)}",
            f"ZPI|1|{flock.any(where)}",
        ]
        return "\r".join(out)

    def _mutated(self, message: str) -> Iterator[str]:
        segments = message.rstrip("\r").split("\r")
        for at, segment in enumerate(segments):
            fields = segment.split("|")
            for number, value in list(enumerate(fields))[2:]:
                if not value:
                    continue
                parts = value.split("^")
                for place, part in enumerate(parts):
                    if part and not part.startswith("~\\"):
                        canary = self._flock.any(f"{self._where} {fields[0]}-{number}.{place + 1}", _kinds(part))
                        changed = [*fields[:number], "^".join([*parts[:place], canary, *parts[place + 1 :]]), *fields[number + 1 :]]
                        yield "\r".join([*segments[:at], "|".join(changed), *segments[at + 1 :]])

    def _malformed(self, message: str) -> list[str]:
        flock, where = self._flock, f"{self._where} malformed message"
        return [
            message.replace("MSH|^~\\&", "MSH|" + flock.one("name", where), 1),
            message + f"\r{flock.any(where)}|1|{flock.any(where)}",
            message.replace("KS X 1001", flock.any(where), 1),
            message.replace("\rPID|", f"\rPID|{flock.any(where)}\\X{flock.one('name', where)}\\|", 1),
            f"\x0b{message}\rNTE|1||{flock.any(where)}",
            f"BHS|^~\\&|{flock.any(where)}|{flock.any(where)}",
            f"BTS|{flock.any(where)}|{flock.any(where)}",
        ]
