"""Effective consent and lawful use, against an oracle in plain Python that was written from the rules and not from the SQL.

The rules, in words: on a day, what counts for a person, a scope and a site is the newest event about it; on one day a refusal goes before a
grant, and of two grants the narrower; a withdrawal speaks for all sites and, where it is known, before its day; a hospital's own grant speaks for that hospital alone. A grant
that is not understood ends what went before. A use is permitted where every purpose is covered and no modifier speaks against it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from assets.governance.data_use import DataRequest, count_lawful, judged_sql
from tests.unit.marts.conftest import Marts

SCOPES = ("clinical", "genomic", "commercial", "overseas")
SITES = (None, None, None, "h11", "h12")
START = date(2020, 1, 1)
DAYS = [START + timedelta(days=n) for n in (0, 200, 365, 700, 701, 1000, 1400, 2000)]


@dataclass(frozen=True)
class Event:
    """One consent event, as staging gives it."""

    record_id: int
    person_id: int
    event_type: str
    scope_code: str
    effective_date: date
    valid_until_date: date | None
    retention_years: int | None
    only_site: str | None
    stated_permission_code: str | None
    disease_code: str | None
    stated_modifier_codes: str | None
    signer_code: str | None
    signer_basis_code: str | None
    form_code: str | None
    site: str = "c01"
    told_by: str = "service"
    person_bucket: int = 0
    form_version: str = "1"
    covers_from_date: date | None = None


def histories(count: int, seed: int) -> list[Event]:
    """Random histories, one to five events a person, on few days so that they collide."""
    rng = random.Random(seed)
    events: list[Event] = []
    for person in range(1, count + 1):
        for _ in range(rng.randint(1, 5)):
            kind = rng.choices(["grant", "withdraw", "change", "reconsent", "expire", "permit"], [60, 18, 8, 8, 4, 2])[0]
            is_grant = kind in ("grant", "change", "reconsent")
            day = START + timedelta(days=rng.choice((0, 100, 100, 365, 366, 700, 1000, 1001, 2500)))
            proxy = is_grant and rng.random() < 0.15
            events.append(Event(
                record_id=len(events) + 1, person_id=person, event_type=kind,
                scope_code=rng.choice(SCOPES) if rng.random() < 0.8 else rng.choice(("all", "clinical", "dreams")),
                effective_date=day,
                valid_until_date=day + timedelta(days=rng.choice((-1, 0, 300, 900, 4000))) if is_grant and rng.random() < 0.3 else None,
                retention_years=rng.choice((1, 3, 10)) if is_grant and rng.random() < 0.2 else None,
                only_site=rng.choice(SITES) if is_grant else None,
                stated_permission_code=rng.choice((None, None, "NRES", "GRU", "HMB", "DS", "POA", "EVERYTHING")) if is_grant else None,
                disease_code=rng.choice((None, "KCD:E11", "KCD:E1", "KCD:C50", "MONDO:0005148")) if is_grant else None,
                stated_modifier_codes=rng.choice((
                    None, None, None, "NCU", "NPU;NMDS", "GS=KR", "GS=KR;GS=US", "MOR=2027-01-01", "TS=2026-06-30", "NPUNCU;IRB", "CC",
                    "PS=P-1", "IS=SNUH;US=KIM", "GSO", "NPOA", "RS", "NCU;OOPS", "MOR", "COL;PUB;RTN",
                )) if is_grant else None,
                signer_code=rng.choice(("parent", "guardian", "neighbour")) if proxy else rng.choice(("self", "self", None)),
                signer_basis_code=rng.choice((None, "minor", "incapacity")) if proxy else None,
                form_code=rng.choice((None, "KR-34", "KR-41", "XX", "OURS")), site=rng.choice(("c01", "c02")),
                told_by=rng.choice(("service", "service", "registry", "fhir")),
            ))  # fmt: skip
    return events


FORMS = {"KR-34": ("HMB", None), "KR-41": ("GRU", "NPU")}
OWN_FORMS = {("c01", "OURS"): "KR-41"}
"""What a site calls a form."""
NARROW_FIRST = ("DS", "POA", "HMB", "GRU", "NRES")


# --- the oracle: what counts on a day ---------------------------------------------------------------------------------


def understood(event: Event, history: list[Event]) -> bool:
    """Does a grant say something that we may act on?"""
    permission, modifiers = terms(event)
    if event.event_type not in ("grant", "change", "reconsent") or event.scope_code not in SCOPES:
        return False
    if permission not in ("NRES", "GRU", "HMB", "DS", "POA") or (permission == "DS" and event.disease_code is None):
        return False
    plain = {"RS", "NMDS", "GSO", "NPUNCU", "PUB", "COL", "IRB", "RTN", "CC", "NPOA", "NPU", "NCU"}
    for one in modifiers:
        code, _, value = one.partition("=")
        if (code in plain) == bool(value) or (code not in plain and code not in ("GS", "MOR", "TS", "US", "PS", "IS")):
            return False
    if form_is_unknown(event) and permission == "POA":
        return False
    minority = [
        e.valid_until_date for e in history if e.signer_code not in (None, "self") and e.signer_basis_code == "minor" and e.valid_until_date
    ]
    if event.signer_code == "self" and minority and event.effective_date <= max(minority):
        return False
    if event.signer_code not in (None, "self"):
        if event.signer_code not in ("parent", "guardian", "representative") or event.signer_basis_code is None:
            return False
        if event.signer_basis_code == "minor" and event.valid_until_date is None:
            return False
    return event.valid_until_date is None or event.valid_until_date >= event.effective_date


def form_of(event: Event) -> str:
    """The form as the list names it."""
    return OWN_FORMS.get((event.site, event.form_code or ""), event.form_code or "")


def form_is_unknown(event: Event) -> bool:
    """Neither of the list nor the site's own; a registry declares its form elsewhere."""
    return bool(event.form_code) and form_of(event) not in FORMS and event.told_by != "registry"


def terms(event: Event) -> tuple[str, list[str]]:
    """Permission and modifiers: the event's own, else its form's; a form nobody knows permits health research at most."""
    form = FORMS.get(form_of(event), ("HMB", None))
    modifiers = event.stated_modifier_codes or form[1]
    permission = event.stated_permission_code or form[0]
    if form_is_unknown(event) and permission in ("NRES", "GRU"):
        permission = "HMB"
    return permission, modifiers.split(";") if modifiers else []


def width(event: Event) -> tuple[Any, ...]:
    """How much a grant permits, as far as it can be told: of two of one day the narrower counts."""
    permission, modifiers = terms(event)
    since = event.covers_from_date or date(1, 1, 1)
    return (NARROW_FIRST.index(permission), last_day(event), -len(modifiers), -since.toordinal(), -event.record_id)


def concerns(event: Event, scope: str) -> bool:
    """Does an event speak about a scope?"""
    if event.event_type in ("grant", "change", "reconsent"):
        return event.scope_code == scope
    if event.scope_code in ("all", scope):
        return event.event_type in ("withdraw", "expire") or event.scope_code == scope or event.event_type == "permit"
    return event.event_type != "expire" and event.scope_code not in SCOPES


def last_day(event: Event) -> date:
    """Last day of a grant by its own terms."""
    days = [date(9999, 12, 31)]
    if event.valid_until_date:
        days.append(event.valid_until_date)
    if event.retention_years:
        days.append(event.effective_date.replace(year=event.effective_date.year + event.retention_years))
    return min(days)


def deciding(events: list[Event], history: list[Event], scope: str, day: date) -> Event | None:
    """The grant in force on a day among events that may speak, or None."""
    about = [e for e in events if concerns(e, scope)]
    past = [e for e in about if e.effective_date <= day]
    if not past:
        return None
    newest = max(e.effective_date for e in past)
    today = [e for e in past if e.effective_date == newest]
    if not all(understood(e, history) for e in today):
        return None
    best = min(today, key=width)
    for later in about:  # a withdrawal that is known counts today, unless the same day holds something as strict
        if later.event_type == "withdraw" and later.effective_date > newest:
            return None
    return best if last_day(best) >= day else None


def in_force(events: list[Event], scope: str, day: date) -> set[tuple[str | None, int]]:
    """(site, record) of the grants in force; site None for all sites."""
    found: set[tuple[str | None, int]] = set()
    everywhere = deciding([e for e in events if e.only_site is None], events, scope, day)
    if everywhere:
        found.add((None, everywhere.record_id))
    for site in ("h11", "h12"):
        best = deciding([e for e in events if e.only_site in (None, site)], events, scope, day)
        if best and best.only_site == site:
            found.add((site, best.record_id))
    return found


# --- the oracle: what a grant permits ---------------------------------------------------------------------------------


def permits(event: Event, request: DataRequest) -> bool:
    """GA4GH DUO, read strictly."""
    permission, modifiers = terms(event)
    has = set(modifiers)
    values: dict[str, list[str]] = {}
    for one in modifiers:
        code, _, value = one.partition("=")
        if value:
            values.setdefault(code, []).append(value)
    for purpose in request.purposes:
        if purpose == "clinical_care":
            good = permission == "NRES" or "CC" in has
        elif purpose == "ancestry":
            good = permission in ("NRES", "GRU", "POA") and "NPOA" not in has
        else:
            good = permission in ("NRES", "GRU", "HMB") or (permission == "DS" and _below(request.disease, event.disease_code))
            good = good and not (purpose == "methods" and "NMDS" in has)
        if not good:
            return False
    for_profit = request.organisation == "for_profit"
    against = [
        for_profit and has & {"NPU", "NPUNCU"}, request.is_commercial and has & {"NCU", "NPUNCU"},
        not request.is_genetic_study and "GSO" in has, not request.has_ethics_approval and "IRB" in has,
        not request.will_publish and "PUB" in has, not request.will_collaborate and "COL" in has,
        not request.will_return_data and "RTN" in has, "RS" in has,
        "GS" in values and request.country not in values["GS"],
        "PS" in values and request.project.upper() not in values["PS"],
        "IS" in values and request.institution.upper() not in values["IS"],
        "US" in values and not {u.upper() for u in request.users} & set(values["US"]),
        any(request.publishes_from is None or request.publishes_from < date.fromisoformat(d) for d in values.get("MOR", [])),
        any(request.ends is None or request.ends > date.fromisoformat(d) for d in values.get("TS", [])),
    ]  # fmt: skip
    return not any(against)


def _below(asked: str | None, granted: str | None) -> bool:
    if asked is None or granted is None:
        return False
    return asked == granted or (asked.split(":")[0] == "KCD" and asked.startswith(granted))


# --- the trial --------------------------------------------------------------------------------------------------------

REQUESTS = [
    DataRequest("P-1", ("biomedical",), ("clinical",), "not_for_profit", START),
    DataRequest("P-2", ("disease",), ("clinical", "genomic"), "for_profit", START, disease="KCD:E11", is_commercial=True, has_ethics_approval=True),
    DataRequest("P-3", ("disease", "methods"), ("clinical",), "not_for_profit", START, disease="MONDO:0005148", country="US", ends=date(2026, 1, 1)),
    DataRequest("P-4", ("ancestry",), ("genomic",), "not_for_profit", START, is_genetic_study=True, publishes_from=date(2027, 1, 1)),
    DataRequest("P-5", ("clinical_care",), ("clinical",), "not_for_profit", START, institution="snuh", users=("kim",), will_publish=True,
                will_collaborate=True, will_return_data=True, has_ethics_approval=True, ends=date(2026, 6, 30)),
    DataRequest("P-1", ("biomedical", "methods"), ("clinical",), "not_for_profit", START, will_recontact=True),
]  # fmt: skip


def _load(marts: Marts, events: list[Event]) -> None:
    columns: dict[str, list[Any]] = {name: [getattr(e, name) for e in events] for name in Event.__dataclass_fields__}
    types = {"record_id": pa.int64(), "person_id": pa.int64(), "person_bucket": pa.int32(), "retention_years": pa.int32()}
    types |= dict.fromkeys(("effective_date", "valid_until_date", "covers_from_date"), pa.date32())
    delivered = pa.table({n: pa.array(v, types.get(n, pa.string())) for n, v in columns.items()})  # read by name below
    marts.db.execute("create or replace table stg_consent__events as from delivered")
    for other in ("stg_fhir__consents", "stg_registry__consents"):
        marts.db.execute(f"create or replace table {other} as from stg_consent__events limit 0")
    marts.db.execute("create or replace table seed_consent_form (form_code varchar, permission_code varchar, modifier_codes varchar)")
    marts.db.executemany("insert into seed_consent_form values (?, ?, ?)", [(k, *v) for k, v in FORMS.items()])
    marts.db.execute(
        "create or replace table stg_reference__code_maps (site varchar, source_system varchar, source_code varchar, target_code varchar)"
    )
    marts.db.executemany(
        "insert into stg_reference__code_maps values (?, 'consent_form', lower(?), ?)", [(*k, v) for k, v in OWN_FORMS.items()]
    )
    marts.db.execute("create or replace table people_sighting (person_id bigint, person_bucket integer, site varchar)")
    marts.db.execute("create or replace table stg_reference__sites (site varchar, legal_basis varchar)")
    assert len(delivered) == len(events)


def _compare(marts: Marts, count: int, seed: int) -> int:
    """Try `count` histories; returns how many answers were compared."""
    events = histories(count, seed)
    _load(marts, events)
    by_person: dict[int, list[Event]] = {}
    for event in events:
        by_person.setdefault(event.person_id, []).append(event)
    compared = 0
    for number, day in enumerate(DAYS):
        marts.day = day.isoformat()
        marts.build("consent_relation")
        rows = marts.db.execute("select person_id, scope_code, only_site from consent_relation").fetchall()
        found: dict[int, set[tuple[str, str | None]]] = {}
        for person, scope, site in rows:
            found.setdefault(person, set()).add((scope, site))
        people = [p for p in by_person if p % len(DAYS) == number]
        for person in people:
            expected = {(scope, site) for scope in SCOPES for site, _ in in_force(by_person[person], scope, day)}
            assert found.get(person, set()) == expected, (day, by_person[person])
            compared += len(SCOPES)
        for request in (replace(r, day=day) for r in REQUESTS):
            judged = judged_sql(request, history="consent_history", relation="consent_relation")
            permitted = set(marts.db.execute(f"select person_id, scope_code from ({judged}) where is_permitted").fetchall())
            for person in people:
                for scope in request.needed_scopes:
                    grants = {record for _, record in in_force(by_person[person], scope, day)}
                    expected_use = any(permits(e, request) for e in by_person[person] if e.record_id in grants)
                    assert ((person, scope) in permitted) == expected_use, (request, by_person[person])
                    compared += 1
    return compared


@pytest.fixture
def consents() -> Marts:
    """Consent models over tables that a test fills."""
    return Marts()


def test_effective_consent_and_lawful_use_agree_with_the_oracle(consents: Marts) -> None:
    assert _compare(consents, 6_000, seed=4) > 60_000


@pytest.mark.slow
def test_a_million_random_histories_agree_with_the_oracle() -> None:
    compared = 0
    for seed in range(10):
        compared += _compare(Marts(), 100_000, seed=1000 + seed)
    assert compared > 10_000_000


def test_a_cohort_is_counted_with_what_keeps_the_others_out() -> None:
    """Ten people: 7 permit health research, 1 only non-commercial use, 1 withdrew, 1 belongs to a published site."""
    connection = duckdb.connect()
    connection.execute("""
        create table history as
        select p as person_id, 'clinical' as scope_code, date '2020-01-01' as in_force_from, date '9999-12-31' as in_force_to,
            case when p = 9 then date '2030-01-01' end as withdrawn_date, 'HMB' as permission_code, null::varchar as disease_code,
            case when p = 8 then 'NCU' end as modifier_codes
        from range(1, 10) as t(p)
        union all
        select p, 'commercial', date '2020-01-01', date '9999-12-31', null, 'HMB', null, null from range(1, 9) as t(p)
    """)
    connection.execute(
        "create table relation as select 10 as person_id, 'published' as legal_basis, 'NRES' as permission_code, null::varchar as disease_code, null::varchar as modifier_codes"
    )
    request = DataRequest("P-9", ("biomedical",), ("clinical",), "for_profit", date(2024, 6, 1), is_commercial=True)
    cohort = count_lawful(connection, request, history="history", relation="relation")
    assert (cohort.people, cohort.lawful) == (10, 8)
    assert cohort.by_scope == {"clinical": 8, "commercial": 9}
    assert cohort.refusals == {
        ("clinical", "non-commercial use only (NCU)"): 1,
        ("clinical", "no consent in force"): 1,
        ("commercial", "no consent in force"): 1,
    }


def test_a_request_knows_the_scopes_that_the_models_know(consents: Marts) -> None:
    """The list stands in a macro for the models and in Python for the command line: a scope added to one alone could never be granted or asked for."""
    from assets.governance.data_request import SCOPES as ASKED

    assert tuple(consents.macro("consent_scopes").split()) == ASKED
