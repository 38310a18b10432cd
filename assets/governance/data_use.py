"""Does a person's consent permit a project's use? Asked of the consent history, person by person.

Belongs here: what a project asks, and the rule by which each grant permits it or not, as SQL. Does not belong here: what consent is in
force (`consent_history` in dbt), the command line, reading a project's file (`data_request`).

Source: GA4GH Data Use Ontology (DUO), release 2021-02-23: permissions (0000004, 0000006, 0000007, 0000011, 0000042) and modifiers
(0000012 to 0000046). Where DUO leaves a choice, the strict reading holds: a research type (RS) is for people to judge, and methods research on
data of one disease (DS) has to be about that disease.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb

from assets.lake.sql import sql_literal

SMALL_CELL = 5
"""Counts from 1 to 4 are withheld: they could tell of a single person."""

PURPOSES = ("disease", "biomedical", "methods", "ancestry", "clinical_care")
"""What a study is for. `disease` names its disease; `biomedical` is any other research on health."""
ORGANISATIONS = ("not_for_profit", "for_profit")
_TREE_SYSTEMS = ("KCD", "ICD10", "ICD10CM")
"""Code systems in which a code that begins with another lies below it."""
HOME = "KR"


@dataclass(frozen=True)
class DataRequest:
    """What a project wants.

    Attributes:
        project, institution, users: Names that DUO modifiers PS, IS and US may ask for.
        purposes: Some of `PURPOSES`; every one of them has to be permitted.
        disease: `SYSTEM:code` of purpose `disease`.
        scopes: Kinds of records wanted.
        organisation: One of `ORGANISATIONS`.
        is_commercial, is_genetic_study, has_ethics_approval, will_publish, will_collaborate, will_return_data, will_recontact: As said.
        country: Where the data will be used, ISO 3166-1 alpha-2.
        publishes_from: First day on which results may be published (DUO MOR).
        ends: Last day of use (DUO TS).
        day: Consent is judged on this day.
    """

    project: str
    purposes: tuple[str, ...]
    scopes: tuple[str, ...]
    organisation: str
    day: date
    disease: str | None = None
    institution: str = ""
    users: tuple[str, ...] = ()
    country: str = HOME
    publishes_from: date | None = None
    ends: date | None = None
    is_commercial: bool = False
    is_genetic_study: bool = False
    has_ethics_approval: bool = False
    will_publish: bool = False
    will_collaborate: bool = False
    will_return_data: bool = False
    will_recontact: bool = False

    @property
    def needed_scopes(self) -> tuple[str, ...]:
        """Scopes a person must have granted: those asked for, and those that the use itself needs."""
        own = (("commercial", self.is_commercial), ("overseas", self.country != HOME), ("recontact", self.will_recontact))
        return tuple(dict.fromkeys([*self.scopes, *(scope for scope, is_needed in own if is_needed)]))


@dataclass(frozen=True)
class Cohort:
    """How many people a project may use, and what keeps the others out.

    Attributes:
        people: People known to the consent relation or its history.
        lawful: Those whose consent permits the whole request.
        by_scope: Needed scope -> people whose consent permits it for this scope.
        refusals: (scope, reason) -> people whom that reason keeps out of the scope; each person counts once a scope.
    """

    people: int
    lawful: int
    by_scope: Mapping[str, int] = field(default_factory=dict)
    refusals: Mapping[tuple[str, str], int] = field(default_factory=dict)


def refusals(request: DataRequest) -> dict[str, str]:
    """Reason -> SQL predicate on a grant (`permission_code`, `disease_code`, `modifier_codes`) under which it does not permit the request."""
    found: dict[str, str] = {}
    for purpose in request.purposes:
        found[f"permission does not cover {purpose}"] = f"not ({_permits(request, purpose)})"
    if "ancestry" in request.purposes:
        found["ancestry research prohibited (NPOA)"] = _has("NPOA")
    if "methods" in request.purposes:
        found["methods research prohibited (NMDS)"] = _has("NMDS")
    for_profit = request.organisation == "for_profit"
    stated = (
        ("not-for-profit organisations only (NPU)", for_profit, f"{_has('NPU')} or {_has('NPUNCU')}"),
        ("non-commercial use only (NCU)", request.is_commercial, f"{_has('NCU')} or {_has('NPUNCU')}"),
        ("genetic studies only (GSO)", not request.is_genetic_study, _has("GSO")),
        ("ethics approval required (IRB)", not request.has_ethics_approval, _has("IRB")),
        ("publication required (PUB)", not request.will_publish, _has("PUB")),
        ("collaboration required (COL)", not request.will_collaborate, _has("COL")),
        ("return of data required (RTN)", not request.will_return_data, _has("RTN")),
    )
    found |= {reason: predicate for reason, applies, predicate in stated if applies}
    found["research type to be judged by people (RS)"] = _has("RS")
    found["other region (GS)"] = _lists("GS") + f" and not {_has(f'GS={request.country}')}"
    named = {"project": ("PS", (request.project,)), "institution": ("IS", (request.institution,)), "user": ("US", request.users)}
    for what, (code, values) in named.items():
        allowed = [_has(f"{code}={value.upper()}") for value in values if value]
        found[f"another {what} approved ({code})"] = _lists(code) + "".join(f" and not {one}" for one in allowed)
    found["results held back (MOR)"] = _beyond("MOR", request.publishes_from, latest=True)
    found["use ends earlier (TS)"] = _beyond("TS", request.ends, latest=False)
    return found


def _permits(request: DataRequest, purpose: str) -> str:
    """SQL: the permission of a grant covers one purpose."""
    if purpose == "clinical_care":
        return f"permission_code = 'NRES' or {_has('CC')}"
    if purpose == "ancestry":
        return "permission_code in ('NRES', 'GRU', 'POA')"
    related = f"permission_code = 'DS' and {_is_related(request.disease)}" if request.disease else "false"
    return f"permission_code in ('NRES', 'GRU', 'HMB') or ({related})"


def _is_related(disease: str) -> str:
    """SQL: the disease of a grant is the one asked about, or one above it."""
    same = f"disease_code = {sql_literal(disease)}"
    system = disease.partition(":")[0]
    return f"({same} or starts_with({sql_literal(disease)}, disease_code))" if system in _TREE_SYSTEMS else same


def _has(modifier: str) -> str:
    """SQL: a modifier, its value included, stands in the list."""
    return f"coalesce(contains(';' || modifier_codes || ';', {sql_literal(f';{modifier};')}), false)"


def _lists(code: str) -> str:
    """SQL: some value of a modifier stands in the list."""
    return f"coalesce(contains(';' || modifier_codes, {sql_literal(f';{code}=')}), false)"


def _beyond(code: str, day: date | None, *, latest: bool) -> str:
    """SQL: a day in the list lies beyond what the project says; where it says nothing, any day does.

    Args:
        code: MOR or TS.
        day: What the project says.
        latest: The project's day must not lie before the listed one (MOR), else not after it (TS).
    """
    if day is None:
        return _lists(code)
    dates = f"regexp_extract_all(coalesce(modifier_codes, ''), '(?:^|;){code}=([0-9-]{{10}})', 1)"
    sign = ">" if latest else "<"
    return f"len(list_filter({dates}, lambda d: d {sign} {sql_literal(day.isoformat())})) > 0"


def count_lawful(connection: duckdb.DuckDBPyConnection, request: DataRequest, *, history: str, relation: str) -> Cohort:
    """Match a request with everybody's consent.

    Args:
        connection: DuckDB that can read both relations.
        request: What the project wants.
        history: Relation of `consent_history`. Who has told us of a withdrawal is out, whatever day it names.
        relation: Relation of `consent_relation`, for people of published sites.
    """
    connection.execute(f"create or replace temp table judged as {judged_sql(request, history=history, relation=relation)}")
    needed = len(request.needed_scopes)
    people = connection.execute(f"select count(*) from (select person_id from {history} union select person_id from {relation})").fetchone()
    lawful = connection.execute(
        "select count(*) from (select person_id from judged where is_permitted group by person_id having count(*) = ?)", [needed]
    ).fetchone()
    by_scope: dict[str, int] = dict(
        connection.execute("select scope_code, count(*) filter (where is_permitted) from judged group by scope_code").fetchall()
    )
    reasons = connection.execute(
        "select scope_code, refusal, count(*) from judged where not is_permitted group by all order by 3 desc, 1, 2"
    ).fetchall()
    assert people is not None
    assert lawful is not None
    out: dict[tuple[str, str], int] = {(scope, refusal): count for scope, refusal, count in reasons}
    for scope in request.needed_scopes:
        known = by_scope.get(scope, 0) + sum(count for (of, _), count in out.items() if of == scope)
        if people[0] > known:
            out[scope, "no consent in force"] = people[0] - known
    return Cohort(people[0], lawful[0], {s: by_scope.get(s, 0) for s in request.needed_scopes}, out)


def judged_sql(request: DataRequest, *, history: str, relation: str) -> str:
    """SQL: one row per person and needed scope in which any consent is in force: `is_permitted`, and else the first `refusal`."""
    scopes = ", ".join(sql_literal(s) for s in request.needed_scopes)
    day = f"date {sql_literal(request.day.isoformat())}"
    cases = " ".join(f"when {predicate} then {sql_literal(reason)}" for reason, predicate in refusals(request).items())
    return f"""
        with grants as (
            select person_id, scope_code, permission_code, disease_code, modifier_codes
            from {history}
            where in_force_from <= {day} and in_force_to >= {day} and withdrawn_date is null and scope_code in ({scopes})
            union all
            select person_id, wanted.scope_code, permission_code, disease_code, modifier_codes
            from {relation} as published, (select unnest([{scopes}]) as scope_code) as wanted
            where published.legal_basis = 'published'
        )
        select person_id, scope_code, bool_or(refusal is null) as is_permitted, min(refusal) as refusal
        from (select *, case {cases} end as refusal from grants)
        group by person_id, scope_code
    """


def withheld(count: int) -> str:
    """A count as it may be shown."""
    return f"<{SMALL_CELL}" if 0 < count < SMALL_CELL else f"{count:,}"


def as_shown(cohort: Cohort) -> dict[str, Any]:
    """The counts as they may leave the vault's side: small cells withheld."""
    return {
        "people": withheld(cohort.people),
        "lawful": withheld(cohort.lawful),
        "by_scope": {scope: withheld(count) for scope, count in cohort.by_scope.items()},
        "refusals": [{"scope": s, "reason": r, "people": withheld(n)} for (s, r), n in cohort.refusals.items()],
    }
