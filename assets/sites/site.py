"""A site file and what it may say.

Belongs here: reading and checking `assets/sites/*.toml`. Does not belong here: facts about a wire format or a feed in general.
"""

from __future__ import annotations

import codecs
import difflib
import re
import tomllib
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assets.contracts.table import load_contract
from assets.formats.registry_settings import SettingsError, read_settings
from assets.sites.feed_kinds import FEED_KINDS, FeedKind
from assets.sites.layout import FIELDS, TableLayout, read_layout

HERE = Path(__file__).parent
_SITE_ID = re.compile(r"^[a-z][a-z0-9_]{1,30}$")
_FEED_FIELDS = {
    "encoding", "delimiter", "quote", "time_zone", "files", "columns", "null_values", "assigning_authority", "sheets", "tables",
    "archive_names",
    "registry", "numbers_of",
}  # fmt: skip
_WIDE = ("utf-16", "utf-32")
NO_DATA = "-"
"""What a site file calls the table of a sheet that holds no data."""
KINDS = ("hospital", "biobank", "registry", "agency", "consent_service")
LEGAL_BASES = ("consented", "published")


def is_site_id(text: str) -> bool:
    """Has a text the form of a site id?"""
    return _SITE_ID.match(text) is not None


class SiteError(ValueError):
    """A site file does not hold; the message names file, line, field and remedy."""


@dataclass(frozen=True)
class CodeTarget:
    """What a site's own code stands for."""

    system: str
    code: str
    unit: str | None


@dataclass(frozen=True)
class Feed:
    """How one site sends one kind of feed.

    Attributes:
        kind: What holds for this feed everywhere.
        encoding, delimiter, quote: How text is written.
        time_zone: IANA zone of times written without one.
        files: File stem -> entity, where the site names files its own way.
        columns: Entity -> our field -> the site's header.
        null_values: Texts that mean "no value".
        assigning_authority: HL7 v2: namespace of the site's own patient numbers; numbers of other authorities are kept apart.
        sheets: Sheet of a workbook -> entity. A key `#2` is the second sheet, whatever its name, `*` every other one; the entity `-` says that
            a sheet holds no data.
        tables: Entity -> how its files are laid out.
        numbers_of: Pedigrees: the site whose patient numbers stand in the files; empty: the sender's own.
        encoding_is_declared: Does the site file name it? A SAS data set tells its own where it does not.
        archive_names: Encoding of names in archives that do not say themselves that they are UTF-8.
        registry: Registries: what the items are (`assets/formats/registry_settings.py`).
    """

    kind: FeedKind
    encoding: str
    delimiter: str
    quote: str
    time_zone: str
    files: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]
    null_values: tuple[str, ...]
    assigning_authority: str = ""
    sheets: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, TableLayout] = field(default_factory=dict)
    archive_names: str = "utf-8"
    registry: Mapping[str, Any] = field(default_factory=dict)
    encoding_is_declared: bool = True
    numbers_of: str = ""

    def layout(self, entity: str | None) -> TableLayout:
        """How the files of an entity are laid out."""
        return self.tables.get(entity or "", TableLayout())


@dataclass(frozen=True)
class Site:
    """One institution that delivers.

    `link_by_likeness`: may its people be compared with those of other sites by name, birth date and the like (docs/IDENTITY.md)?
    """

    site: str
    name: str
    kind: str
    legal_basis: str
    owner: str
    expected_every_days: int
    feeds: Mapping[str, Feed]
    codes: Mapping[str, Mapping[str, CodeTarget]]
    link_by_likeness: bool = True


def normal_name(name: str) -> str:
    """A name as it is compared: macOS writes Korean letters apart, and nobody sees a blank at the end of a sheet's name."""
    return unicodedata.normalize("NFC", name).strip()


def load_sites(folder: Path = HERE) -> dict[str, Site]:
    """All sites of a folder by id.

    Raises:
        SiteError: A file does not hold.
    """
    sites = [load_site(path) for path in sorted(folder.glob("*.toml"))]
    return {site.site: site for site in sites}


def load_site(path: Path) -> Site:
    """Read and check one site file.

    Raises:
        SiteError: With file, line, field and remedy.
    """
    text = path.read_text(encoding="utf-8")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteError(f"{path.name}: not valid TOML: {error}. Remedy: mend that line") from error
    return _Reader(path, text, raw).site()


class _Reader:
    """Checks one file; every complaint names the line of the field it is about."""

    def __init__(self, path: Path, text: str, raw: Mapping[str, Any]) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._raw = raw

    def site(self) -> Site:
        self._only(self._raw, {"site", "name", "kind", "legal_basis", "owner", "expected_every_days", "identity", "feeds", "codes"}, "")
        site = self._text("site")
        if not is_site_id(site):
            self._complain("site", f"{site!r} is no site id", "use lower case letters, digits and _, starting with a letter")
        if site != self._path.stem:
            self._complain("site", f"{site!r} differs from the file name", f"write site = {self._path.stem!r}")
        basis = self._choice("legal_basis", LEGAL_BASES)
        kind = self._choice("kind", KINDS)
        days = self._raw.get("expected_every_days", 35)
        if not isinstance(days, int) or days < 1:
            self._complain("expected_every_days", "must be a whole number of days", "write for example 35")
        feeds = self._raw.get("feeds")
        if not isinstance(feeds, dict) or not feeds:
            self._complain("feeds", "is missing", "add a [feeds.<feed>] table")
        parsed = {name: self._feed(name, body) for name, body in feeds.items()}
        return Site(site, self._text("name"), kind, basis, self._text("owner"), days, parsed, self._codes(), self._link_by_likeness())

    def _link_by_likeness(self) -> bool:
        section = self._raw.get("identity", {})
        if not isinstance(section, dict):
            self._complain("identity", "is no table", "write [identity] and below it link_by_likeness = true or false")
        self._only(section, {"link_by_likeness"}, "identity")
        may = section.get("link_by_likeness", True)
        if not isinstance(may, bool):
            self._complain("identity.link_by_likeness", "is neither true nor false", "write true or false, without quotes")
        return may

    def _feed(self, name: str, body: Any) -> Feed:
        if name not in FEED_KINDS:
            self._complain(f"feeds.{name}", "is no known feed", self._near(name, FEED_KINDS))
        kind = FEED_KINDS[name]
        where = f"feeds.{name}"
        self._only(body, _FEED_FIELDS, where)
        encoding = self._encoding(f"{where}.encoding", body.get("encoding", "utf-8"))
        is_wide = codecs.lookup(encoding).name.startswith(_WIDE)
        names = self._encoding(f"{where}.archive_names", body.get("archive_names", "utf-8" if is_wide else encoding))
        zone = str(body.get("time_zone", "UTC"))
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            self._complain("time_zone", f"{zone!r} is no IANA time zone", "write for example Asia/Seoul")
        entities = load_contract(kind.family).entities
        named = [*body.get("files", {}).items(), *((s, e) for s, e in body.get("sheets", {}).items() if e != NO_DATA)]
        for stem, entity in named:
            if entity not in entities:
                self._complain(stem, f"{entity!r} is no entity of {kind.family}", self._near(entity, entities))
        for entity in body.get("columns", {}):
            if entity not in entities:
                self._complain(f"{where}.columns.{entity}", f"is no entity of {kind.family}", self._near(entity, entities))
        registry = body.get("registry", {})
        try:
            read_settings(registry)
        except SettingsError as error:
            self._complain(f"{where}.registry.{error.field}", error.what, error.remedy)
        return Feed(
            kind, encoding, str(body.get("delimiter", ",")), str(body.get("quote", '"')), zone, dict(body.get("files", {})),
            {e: dict(c) for e, c in body.get("columns", {}).items()}, tuple(body.get("null_values", ("",))),
            str(body.get("assigning_authority", "")), {normal_name(s): e for s, e in body.get("sheets", {}).items()},
            self._tables(f"{where}.tables", body.get("tables", {}), kind.family, encoding), names, registry,
            "encoding" in body, self._numbers_of(where, body.get("numbers_of", "")),
        )  # fmt: skip

    def _numbers_of(self, where: str, value: Any) -> str:
        if value and not (isinstance(value, str) and is_site_id(value)):
            self._complain(f"{where}.numbers_of", "is no site", "write the id of the site whose patient numbers stand in the files")
        return str(value)

    def _encoding(self, where: str, value: Any) -> str:
        try:
            codecs.lookup(str(value))
        except LookupError:
            self._complain(where, f"{value!r} is no encoding", "write for example cp949 or utf-8")
        return str(value)

    def _tables(self, where: str, tables: Mapping[str, Any], family: str, encoding: str) -> dict[str, TableLayout]:
        found = {}
        entities = load_contract(family).entities
        for entity, body in tables.items():
            if entity not in entities:
                self._complain(f"{where}.{entity}", f"is no entity of {family}", self._near(entity, entities))
            self._only(body, FIELDS, f"{where}.{entity}")
            found[entity] = layout = read_layout(f"{where}.{entity}", body, self._complain)
            if layout.positions and layout.position_unit == "bytes" and codecs.lookup(encoding).name.startswith(_WIDE):
                what = f"cannot count bytes of {encoding}"
                self._complain(f"{where}.{entity}.positions", what, 'write position_unit = "characters" for the table')
        return found

    def _codes(self) -> dict[str, dict[str, CodeTarget]]:
        found: dict[str, dict[str, CodeTarget]] = {}
        for system, codes in self._raw.get("codes", {}).items():
            for code, target in codes.items():
                if not isinstance(target, dict) or not {"system", "code"} <= target.keys():
                    self._complain(code, "needs system and code", 'write {system = "LOINC", code = "4548-4", unit = "%"}')
                unit = target.get("unit")
                found.setdefault(system, {})[code] = CodeTarget(str(target["system"]), str(target["code"]), unit)
        return found

    def _text(self, name: str) -> str:
        value = self._raw.get(name)
        if not isinstance(value, str) or not value:
            self._complain(name, "is missing", f'add {name} = "..."')
        return str(value)

    def _choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self._text(name)
        if value not in allowed:
            self._complain(name, f"{value!r} is not allowed", f"use one of {', '.join(allowed)}")
        return value

    def _only(self, table: Mapping[str, Any], allowed: Collection[str], where: str) -> None:
        for name in table:
            if name not in allowed:
                self._complain(f"{where}.{name}" if where else name, f"is no field of {where or 'a site file'}", self._near(name, allowed))

    def _near(self, name: str, allowed: Any) -> str:
        close = difflib.get_close_matches(name, list(allowed), 1)
        return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(sorted(allowed))}"

    def _complain(self, name: str, what: str, remedy: str) -> NoReturn:
        table, _, last = name.rpartition(".")
        begin = next((i for i, text in enumerate(self._lines) if text.strip().startswith(f"[{table}]")), 0)  # two tables may have the field
        line = next((i for i, text in enumerate(self._lines, 1) if i > begin and last in text), 1)
        raise SiteError(f"{self._path.name}, line {line}, field {name}: {what}. Remedy: {remedy}")
