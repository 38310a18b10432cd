"""A project's request for data, as a TOML file.

Belongs here: reading and checking the file. Does not belong here: what the request is matched with (`data_use`).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from assets.governance.data_use import ORGANISATIONS, PURPOSES, DataRequest

SCOPES = ("clinical", "genomic", "specimen", "claims", "lifelog", "imaging", "recontact", "commercial", "overseas")
_COUNTRY = re.compile(r"[A-Z]{2}")
_DISEASE = re.compile(r"[A-Z0-9]+:[A-Z0-9.]+")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,60}")


class RequestError(ValueError):
    """A request does not hold; the message names file, field and remedy."""


def load_request(path: Path, *, day: date) -> DataRequest:
    """Read and check one request.

    Args:
        path: The file.
        day: Consent is judged on this day unless the file names another.

    Raises:
        RequestError: Not readable, a field that is missing, unknown or of another kind.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RequestError(f"{path}: there is no such file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestError(f"{path.name}: not valid TOML: {error}. Remedy: mend that line") from error
    return _Reader(path.name, raw).request(day)


def as_json(request: DataRequest) -> dict[str, Any]:
    """A request as plain values, for the ledger."""
    return {f.name: _plain(getattr(request, f.name)) for f in fields(DataRequest)}


def from_json(stored: Mapping[str, Any]) -> DataRequest:
    """What `as_json` made plain."""
    days = {f.name for f in fields(DataRequest) if str(f.type).startswith("date")}
    values: dict[str, Any] = {
        name: date.fromisoformat(value) if name in days and value is not None else tuple(value) if isinstance(value, list) else value
        for name, value in stored.items()
    }
    return DataRequest(**values)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else list(value) if isinstance(value, tuple) else value


class _Reader:
    """Checks one file."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        self._name, self._raw = name, raw

    def request(self, day: date) -> DataRequest:
        known = {f.name: f.type for f in fields(DataRequest)}
        for name in self._raw:
            if name not in known:
                close = difflib.get_close_matches(name, list(known), 1)
                self._complain(
                    name, "is no field of a request", f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"
                )
        values = {name: self._value(name, str(known[name])) for name in self._raw}
        for name in ("project", "purposes", "scopes", "organisation"):
            if not values.get(name):
                self._complain(name, "is missing", f"add {name}")
        request = DataRequest(**{"day": day, **values})
        self._check(request)
        return request

    def _value(self, name: str, kind: str) -> Any:
        value = self._raw[name]
        if kind.startswith("tuple"):
            if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
                self._complain(name, "must be a list of texts", f'write {name} = ["..."]')
            return tuple(dict.fromkeys(value))
        wanted: type = bool if kind == "bool" else date if kind.startswith("date") else str
        if not isinstance(value, wanted) or isinstance(value, datetime):
            example = {bool: "true or false", date: "2027-01-31", str: '"..."'}[wanted]
            self._complain(name, "is of another kind", f"write {name} = {example}")
        return value

    def _check(self, request: DataRequest) -> None:
        self._among("purposes", request.purposes, PURPOSES)
        self._among("scopes", request.scopes, SCOPES)
        self._among("organisation", (request.organisation,), ORGANISATIONS)
        if ("disease" in request.purposes) != (request.disease is not None):
            self._complain("disease", "and the purpose 'disease' go together", 'write disease = "KCD:E11"')
        if request.disease is not None and not _DISEASE.fullmatch(request.disease):
            self._complain("disease", "is no SYSTEM:code in upper case", 'write disease = "KCD:E11"')
        if not _COUNTRY.fullmatch(request.country):
            self._complain("country", "is no ISO 3166-1 alpha-2 code", 'write country = "KR"')
        for name, values in (("project", (request.project,)), ("institution", (request.institution or "x",)), ("users", request.users)):
            if not all(_NAME.fullmatch(v) for v in values):
                self._complain(name, "holds other characters than letters, digits, '.', '_' and '-'", "use the short name of the register")

    def _among(self, name: str, values: tuple[str, ...], allowed: tuple[str, ...]) -> None:
        for value in values:
            if value not in allowed:
                self._complain(name, f"{value!r} is not known", f"use some of {', '.join(allowed)}")

    def _complain(self, name: str, what: str, remedy: str) -> None:
        raise RequestError(f"{self._name}, field {name}: {what}. Remedy: {remedy}")
