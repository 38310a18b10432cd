"""The same five people, rendered once in every format, land as the same clinical facts of the same five people.

What is true comes from the simulator's model (`tests/reference_cohort.py`), never from a format. What a format cannot say is declared in CANNOT, with the
reason, and only that may be missing; a fact that is missing or added anywhere else fails, with the difference.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from assets.simulation.chunk import Chunk
from assets.simulation.clinical import DAY_MINUTES
from assets.simulation.codes import load_codes
from assets.simulation.country import calendar_day
from assets.simulation.devices import MEASURES
from assets.simulation.registry import DIAGNOSES, RESULTS
from tests.conftest import REPOSITORY, Biodam
from tests.reference_cohort import LIVES, write_reference
from tests.reference_retold import RETOLD, site_files, write_retold

FORMATS: Mapping[str, str] = {
    "h11": "FHIR NDJSON", "h12": "EMR CSV", "h13": "OMOP Parquet", "h14": "HL7 v2", "h15": "C-CDA", "a11": "NHIS claims", "a12": "HIRA claims",
    "w11": "Open mHealth", "r11": "REDCap",
}  # fmt: skip
"""Site -> the format it sends."""
AGAIN: Mapping[str, str] = {
    "h17": "FHIR Bundle in UTC", "h18": "HL7 v2 in UTF-8 with offsets", "h19": "C-CDA in UTF-16 on another clock", "h20": "OMOP CSV",
    "h21": "EMR CSV in UTF-16", "h22": "EMR workbook", "h23": "EMR fixed width in CP949", "h24": "EMR SAS transport files",
}  # fmt: skip
"""Site -> the way it tells what another tells (`tests/reference_retold.py`)."""

KINDS = ("person", "death", "visit", "visit clock", "condition", "drug", "vaccination", "procedure", "measurement", "allergy", "link")
_NO_RESULTS = "a claim bills that a test was done, not what it found"
_NOT_BILLED = "is no item of the claims that the simulator files"
CANNOT: Mapping[tuple[str, str], str] = {
    ("h12", "vaccination"): "this extract has no table of vaccinations",
    ("h12", "procedure"): "this extract has no table of procedures",
    ("h12", "allergy"): "this extract has no table of allergies",
    ("h14", "drug"): "pharmacy messages (RDE, RDS) are not read",
    **{(site, "measurement"): _NO_RESULTS for site in ("a11", "a12")},
    **{(site, kind): _NOT_BILLED for site in ("a11", "a12") for kind in ("vaccination", "allergy")},
    **{(site, "visit clock"): "a statement tells days" for site in ("a11", "a12")},
    ("h15", "link"): "entries of a problem list, of results and medications name no encounter",
    ("a11", "death"): "NHIS tells the month of a death",
    ("a12", "death"): "HIRA tells no death",
    ("a11", "person"): "NHIS tells a group of ages",
    ("a12", "person"): "HIRA tells an age",
    **{
        ("r11", kind): "the registry's forms ask for diagnoses and results of a day"
        for kind in KINDS
        if kind not in ("person", "condition", "measurement")
    },
    **{("w11", kind): "a device measures, and knows nothing else" for kind in KINDS if kind != "measurement"},
}
"""(site, kind) -> why the format, or the sender's use of it, cannot say such a fact."""

DEVICES_READ: Mapping[str, int] = {"blood_pressure": 3004249, "body_weight": 3025315, "blood_glucose": 3000483}
"""What devices of the cohort measure: the concept of each. Blood pressure is the one that hospitals measure too."""
PRESSURES = frozenset({3004249, 3012888})
REGISTERED = ("r11",)
"""A registry dates by the day, and knows only what its dictionary lists."""
LINKED = ("condition", "drug", "procedure", "measurement")
"""Kinds whose rows name the visit they belong to."""
LIMITED: Mapping[str, float] = {"h12": 5.0}
"""This laboratory's analyser cannot tell C-reactive protein below so many mg/L, the others below 1.0."""
CRP = 3020460


@dataclass(frozen=True, order=True)
class Fact:
    """One clinical fact. `values` are compared within half a percent: a value that was sent in another unit was rounded there."""

    person: str
    kind: str
    concept: int
    begins: str
    ends: str
    says: str
    value: float | None = None

    def __str__(self) -> str:
        tail = f" = {self.value}" if self.value is not None else ""
        return f"{self.person}: {self.kind} {self.concept} on {self.begins}{' to ' + self.ends if self.ends else ''} {self.says}{tail}"


@dataclass(frozen=True)
class Landed:
    """The lake after one run, and the model that was rendered into it."""

    biodam: Biodam
    chunk: Chunk
    deliveries: Path

    def truth(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query over `truth/planted_errors.parquet`."""
        with duckdb.connect() as connection:
            connection.execute(f"create view planted_errors as from '{self.deliveries.parent}/truth/planted_errors.parquet'")
            return connection.execute(query).fetchall()


def _sites(folder: Path) -> Path:
    """The sites that the simulator speaks for, and those that tell the same in another way."""
    folder.mkdir(parents=True)
    for site in ("c01", "h16", "a13", "b11", *FORMATS):
        shutil.copy(REPOSITORY / "assets" / "sites" / f"{site}.toml", folder)
    for site, text in site_files():
        (folder / f"{site}.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Chunk]:
    """Deliveries of the five people."""
    out = tmp_path_factory.mktemp("reference")
    return out / "deliveries", write_reference(out)


def _lake(folder: Path) -> Biodam:
    return Biodam(folder / "lake", {"BIODAM_SITES": str(_sites(folder / "sites")), "BIODAM_AS_OF": "2026-07-01"})


@pytest.fixture(scope="module")
def landed(reference: tuple[Path, Chunk], tmp_path_factory: pytest.TempPathFactory) -> Landed:
    deliveries, chunk = reference
    biodam = _lake(tmp_path_factory.mktemp("every_format"))
    shutil.copytree(deliveries, biodam.lake / "inbox")
    biodam("run")
    return Landed(biodam, chunk, deliveries)


def _clock(minutes: int) -> str:
    return (datetime(1970, 1, 1) + timedelta(minutes=minutes)).isoformat(" ")


def _date(minutes: int) -> str:
    return calendar_day(minutes // DAY_MINUTES).isoformat()


def true_facts(chunk: Chunk) -> set[Fact]:
    """Every fact of the model, in the words of OMOP."""
    codes, events, found = chunk.codes, chunk.events, set()
    names = [life.name for life in LIVES]
    for name, life in zip(names, LIVES, strict=True):
        found.add(Fact(name, "person", 8532 if life.female else 8507, life.birth, "", ""))
        if life.death:
            found.add(Fact(name, "death", 0, life.death, "", ""))
    visit = events.visit
    for i in range(len(visit)):
        start, end = int(visit["start"][i]), int(visit["end"][i])
        concept = (9202, 9201, 9203)[visit["kind"][i]]
        found.add(Fact(names[visit["owner"][i]], "visit", concept, _date(start), _date(end), ""))
        found.add(Fact(names[visit["owner"][i]], "visit clock", concept, _clock(start), _clock(end), ""))
    for kind, frame, concepts in (
        ("condition", events.condition, codes.conditions["omop"]),
        ("drug", events.drug, codes.drugs["omop"]),
        ("procedure", events.procedure, codes.procedures["omop"]),
        ("vaccination", events.vaccination, codes.vaccines["omop"]),
        ("allergy", events.allergy, codes.allergens["omop"]),
    ):
        for i in range(len(frame)):
            day = int(frame["day"][i]) if "day" in frame.columns else int(frame["minute"][i]) // DAY_MINUTES
            end = calendar_day(day + int(frame["days"][i]) - 1).isoformat() if kind == "drug" else ""
            fact = Fact(names[frame["owner"][i]], kind, concepts[frame["code"][i]], calendar_day(day).isoformat(), end, "")
            found.add(fact)
            if kind in LINKED:
                found.add(_link(fact, int(visit["start"][frame["visit"][i]])))
    lab, labs = events.lab, codes.labs
    for i in range(len(lab)):
        both = [(int(lab["code"][i]), float(lab["value"][i]))]
        if both[0][0] == labs.number("sbp"):
            both.append((labs.number("dbp"), float(lab["value2"][i])))
        at = _clock(int(lab["minute"][i]))
        for code, value in both:
            below = labs["omop"][code] == CRP and value < 1
            says = f"{'<' if below else ''} in unit {labs['unit_omop'][code]}"
            fact = Fact(names[lab["owner"][i]], "measurement", labs["omop"][code], at, "", says, 1.0 if below else value)
            found |= {fact, _link(fact, int(visit["start"][lab["visit"][i]]))}
    return found


def _link(fact: Fact, start: int) -> Fact:
    """That a fact belongs to the visit of a day."""
    return Fact(fact.person, f"link of {fact.kind}", fact.concept, fact.begins[:10], "", f"to the visit of {_date(start)}")


def device_facts(chunk: Chunk) -> set[Fact]:
    """What devices measured; only they know a weight."""
    points, found = chunk.points, set()
    units = {"blood_pressure": 8876, "body_weight": 9529, "blood_glucose": 8840}
    for i in range(len(points)):
        measure = MEASURES[points["measure"][i]]
        values = [(DEVICES_READ[measure], float(points["value"][i]))]
        if measure == "blood_pressure":
            values.append((3012888, float(points["value2"][i])))
        for concept, value in values:
            at = _clock(int(points["minute"][i]))
            found.add(Fact(LIVES[points["owner"][i]].name, "measurement", concept, at, "", f" in unit {units[measure]}", value))
    return found


_QUERIES: Mapping[str, str] = {
    "visit": "select site, person_id, visit_concept_id, visit_start_date::varchar, visit_end_date::varchar, '', null from visit_occurrence",
    "visit clock": "select site, person_id, visit_concept_id, {start}, {end}, '', null from visit_occurrence where visit_start_datetime is not null",
    "condition": "select site, person_id, condition_concept_id, condition_start_date::varchar, '', {condition_clock}, null from condition_occurrence",
    "drug": """select site, person_id, drug_concept_id, drug_exposure_start_date::varchar, drug_exposure_end_date::varchar, '', null
               from drug_exposure where drug_concept_id not in ({vaccines})""",
    "vaccination": """select site, person_id, drug_concept_id, drug_exposure_start_date::varchar, '', '', null
                      from drug_exposure where drug_concept_id in ({vaccines})""",
    "procedure": "select site, person_id, procedure_concept_id, procedure_date::varchar, '', '', null from procedure_occurrence",
    "measurement": """select site, person_id, measurement_concept_id, coalesce({measured}, measurement_date::varchar), '',
                      case operator_concept_id when 4171756 then '<' when 4172704 then '>' else '' end || ' in unit ' || unit_concept_id, value_as_number
                      from measurement""",
    "allergy": """select site, person_id, value_as_concept_id, observation_date::varchar, '', '', null
                  from observation where observation_concept_id = 439224""",
    **{
        f"link of {kind}": f"""select event.site, event.person_id, event.{concept}, event.{day}::varchar, '', 'to the visit of ' || visit.visit_start_date, null
                               from {table} as event inner join visit_occurrence as visit using (visit_occurrence_id) {where}"""
        for kind, table, concept, day, where in (
            ("condition", "condition_occurrence", "condition_concept_id", "condition_start_date", ""),
            ("drug", "drug_exposure", "drug_concept_id", "drug_exposure_start_date", "where drug_concept_id not in ({vaccines})"),
            ("procedure", "procedure_occurrence", "procedure_concept_id", "procedure_date", ""),
            ("measurement", "measurement", "measurement_concept_id", "measurement_date", ""),
        )
    },
}


def _korean(column: str) -> str:
    """A time of the lake, which is UTC, on the Korean clock."""
    return f"strftime({column} + interval 9 hour, '%Y-%m-%d %H:%M:%S')"


def facts_by_site(landed: Landed) -> dict[str, set[Fact]]:
    """What the published tables say, by site, of people by name: birth dates are all different."""
    query = landed.biodam.query
    births = {date.fromisoformat(life.birth): life.name for life in LIVES}
    people = query("select person_id, make_date(year_of_birth, month_of_birth, day_of_birth) from person")
    names = {person: births[born] for person, born in people}
    vaccines = ", ".join(map(str, landed.chunk.codes.vaccines["omop"]))
    found: dict[str, set[Fact]] = {site: set() for site in (*FORMATS, *AGAIN)}
    for kind, sql in _QUERIES.items():
        clocks = {"start": "visit_start_datetime", "end": "visit_end_datetime", "measured": "measurement_datetime"}
        # a fact known by its day begins with that day on the site's clock, or tells no time
        day = f"coalesce(nullif({_korean('condition_start_datetime')}, condition_start_date || ' 00:00:00'), '')"
        text = sql.format(condition_clock=day, vaccines=vaccines, **{name: _korean(column) for name, column in clocks.items()})
        for site, person, *rest in query(text):
            fact = Fact(names[person], kind, *rest)
            assert fact not in found[site], f"{site} says twice: {fact}"
            found[site].add(fact)
    return found


def _settled(facts: Iterable[Fact], truth: set[Fact]) -> set[Fact]:
    """Facts whose value is that of the truth within half a percent take the truth's value."""
    by_rest = {(f.person, f.kind, f.concept, f.begins, f.ends, f.says): f for f in truth}
    settled = set()
    for fact in facts:
        true = by_rest.get((fact.person, fact.kind, fact.concept, fact.begins, fact.ends, fact.says))
        near = (
            true is not None
            and true.value is not None
            and fact.value is not None
            and abs(fact.value - true.value) <= 0.005 * abs(true.value)
        )
        settled.add(true if true is not None and near else fact)
    return settled


def _expected(site: str, truth: set[Fact]) -> set[Fact]:
    """What the format of a site can say of the truth. Who a person is stands in one table of all sites, and is looked at by itself."""
    site = RETOLD.get(site, site)
    facts = {f for f in truth if f.kind not in ("person", "death")}
    facts = {
        f
        for f in facts
        if not any((site, kind) in CANNOT for kind in (f.kind, f.kind.partition(" of ")[0], f.kind.removeprefix("link of ")))
    }
    if site == "w11":
        facts = {f for f in facts if f.concept in PRESSURES}
    if site in REGISTERED:
        facts = {replace(f, begins=f.begins[:10]) for f in facts if f.concept in _listed()}
    limit = LIMITED.get(site)
    low = {f for f in facts if limit and f.concept == CRP and f.value is not None and f.value < limit}
    return (facts - low) | {Fact(f.person, f.kind, f.concept, f.begins, f.ends, f.says, limit) for f in low}


def _listed() -> set[int]:
    """Concepts of the diagnoses and results that the registry's dictionary lists."""
    codes = load_codes()
    keys = [key for option in DIAGNOSES for key in option]
    found = {codes.conditions["omop"][codes.conditions.number(key)] for key in keys}
    return found | {codes.labs["omop"][codes.labs.number(key)] for key in RESULTS}


@pytest.mark.parametrize("site", FORMATS)
def test_a_format_lands_as_the_facts_that_are_true(landed: Landed, site: str) -> None:
    _compare(landed, site)


@pytest.mark.slow
def test_the_same_told_on_other_clocks_in_other_encodings_and_containers_lands_as_the_same(
    reference: tuple[Path, Chunk], tmp_path: Path
) -> None:
    deliveries, chunk = reference
    biodam = _lake(tmp_path)
    shutil.copytree(deliveries / "c01", biodam.lake / "inbox" / "c01")
    write_retold(deliveries, biodam.lake)
    biodam("run")
    landed = Landed(biodam, chunk, deliveries)
    assert biodam.one("select count(*) from person") == len(LIVES)
    for site in AGAIN:
        _compare(landed, site)


def _compare(landed: Landed, site: str) -> None:
    """Fail with the difference between what a site should have said and what landed."""
    expected = _expected(site, true_facts(landed.chunk)) | (device_facts(landed.chunk) if site == "w11" else set())
    found = _settled(facts_by_site(landed)[site], expected)
    name = f"{ {**FORMATS, **AGAIN}[site] } ({site})"
    missing = "\n  ".join(map(str, sorted(expected - found, key=str)))
    added = "\n  ".join(map(str, sorted(found - expected, key=str)))
    assert found == expected, f"{name}\nmissing:\n  {missing}\nnot true:\n  {added}"
    assert found, f"{name} said nothing"


def test_five_people_at_all_sites_are_five_people(landed: Landed) -> None:
    """The resident number joins all formats that carry it, the consent service the others."""
    found = set(
        landed.biodam.query("select gender_concept_id, make_date(year_of_birth, month_of_birth, day_of_birth)::varchar from person")
    )
    assert found == {(f.concept, f.begins) for f in true_facts(landed.chunk) if f.kind == "person"}
    assert landed.biodam.one("select count(*) from person") == len(LIVES)


def test_the_death_is_the_same_day_wherever_a_day_is_known(landed: Landed) -> None:
    found = {(str(day),) for (day,) in landed.biodam.query("select death_date from death")}
    assert found == {(f.begins,) for f in true_facts(landed.chunk) if f.kind == "death"}
    assert landed.biodam.query("select distinct site from death") == [("a13",)], "the registry speaks first"
    told = {
        (str(day),)
        for (day,) in landed.biodam.query("select death_date from death_record where death_precision = 'day' and not is_before_birth")
    }
    assert told == found, "all hospitals and the registry tell that day"


def test_each_gap_of_a_format_is_real(landed: Landed) -> None:
    """A reason that no longer holds is a format that can say more than we claim."""
    found = facts_by_site(landed)
    for (site, kind), reason in CANNOT.items():
        assert not [f for f in found[site] if f.kind == kind], f"{FORMATS[site]} does say {kind}: take {reason!r} out of CANNOT"


def test_every_record_of_every_format_is_accounted_for(landed: Landed) -> None:
    feeds = landed.biodam.status()["feeds"]
    assert {f["site"] for f in feeds} >= set(FORMATS)
    assert all(f["conserved"] for f in feeds)
    planted = landed.truth("select site, reason, count(*) from planted_errors where expected = 'quarantined' group by all")
    refused = {(f["site"], reason, n) for f in feeds for reason, n in f["quarantined"].items()}
    assert refused == set(planted), "what was refused is what was planted: damaged documents and consent events"


def test_the_comparison_sees_a_wrong_value_a_wrong_day_and_a_lost_fact(landed: Landed) -> None:
    """Else all of the above could not fail."""
    expected = _expected("h14", true_facts(landed.chunk))
    true = next(f for f in sorted(expected) if f.kind == "measurement" and f.value)
    assert true.value is not None
    assert _settled({replace(true, value=true.value * 1.004)}, expected) == {true}
    for wrong in (replace(true, value=true.value * 1.02), replace(true, begins="2025-01-02 00:00:00"), replace(true, says=" in unit 8749")):
        assert _settled((expected - {true}) | {wrong}, expected) != expected
    assert _settled(expected - {true}, expected) != expected


_SCORED = {"visit": "visit", "condition": "condition", "drug": "drug", "vaccination": "vaccination", "procedure": "procedure", "allergy": "allergy",
           "result": "measurement", "data point": "measurement"}  # fmt: skip
"""What `biodam score` calls a kind of fact."""


def test_the_score_of_the_five_people_is_full(landed: Landed) -> None:
    """What landed, what was refused and why, and every fact of every site, by the comparison that also judges large countries."""
    lines = json.loads(landed.biodam("score", str(landed.deliveries.parent), "--json").stdout)
    assert {(s["stage"], s["site"]) for s in lines} >= {("landed", site) for site in FORMATS}
    for line in lines:
        if line["what"] == "parent":
            assert line["true"] == line["found"] == 0, "none of the five is a child of another"
            continue
        declared = (line["site"], _SCORED.get(line["what"], "")) in CANNOT
        if line["stage"] in ("landed", "quarantined") or (line["stage"] == "fact" and not declared):
            assert line["true"] == line["found"] == line["both"] > 0, line


@pytest.mark.slow
@pytest.mark.parametrize("late_first", [True, False])
def test_the_order_of_deliveries_changes_nothing(landed: Landed, tmp_path: Path, late_first: bool) -> None:
    """Corrections before what they correct, claims before people, consent last; a build after each."""
    biodam = _lake(tmp_path)
    source = tmp_path / "all"
    shutil.copytree(landed.deliveries, source)
    folders = sorted(p.parent for p in source.rglob("manifest.json"))
    groups: dict[int, list[Path]] = {0: [], 1: [], 2: []}
    for folder in folders:
        site, late = folder.parts[-3], folder.name.startswith("2026-04")
        groups[2 if site == "c01" else (0 if late == late_first else 1)].append(folder)
    for group in groups.values():
        for folder in group:
            shutil.copytree(folder, biodam.lake / "inbox" / folder.relative_to(source))
        biodam("run")
    other = Landed(biodam, landed.chunk, landed.deliveries)
    assert facts_by_site(other) == facts_by_site(landed)
    assert _marts(biodam) == _marts(landed.biodam)


def _marts(biodam: Biodam) -> dict[str, list[tuple[Any, ...]]]:
    """Every published table that has people, in words that do not depend on numbers given at random: a person is a birth date."""
    found = {}
    tables = [t for (t,) in biodam.query("select view_name from duckdb_views() where not internal order by 1")]
    for table in tables:
        columns = [c for (c,) in biodam.query(f"select column_name from duckdb_columns() where table_name = '{table}'")]
        if "person_id" not in columns:
            continue
        kept = [f"t.{c}" for c in columns if c != "person_bucket" and (not c.endswith("_id") or c.endswith("concept_id"))]
        born = "make_date(p.year_of_birth, p.month_of_birth, p.day_of_birth)"
        found[table] = biodam.query(
            f"select {born}, {', '.join(kept)} from {table} as t inner join person as p on p.person_id = t.person_id order by all"
        )
    return found
