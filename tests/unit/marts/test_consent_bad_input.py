"""Consent events that cannot all be right: each case is a person of a few events, told as a data manager would.

One line an event: day, what, scope, then fields. `in force` is what may be read on 2024-06-01, `said` what the sender is told of each event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from assets.governance.consent_findings import FINDINGS
from tests.conftest import REPOSITORY
from tests.unit.marts.conftest import Marts

COLUMNS = {
    "record_id": "bigint", "person_id": "bigint", "person_bucket": "integer", "site": "varchar", "told_by": "varchar", "event_type": "varchar",
    "scope_code": "varchar", "form_code": "varchar", "form_version": "varchar", "effective_date": "date", "valid_until_date": "date",
    "covers_from_date": "date", "retention_years": "integer", "stated_permission_code": "varchar", "disease_code": "varchar",
    "stated_modifier_codes": "varchar", "signer_code": "varchar", "signer_basis_code": "varchar", "only_site": "varchar",
}  # fmt: skip
NAMES = {
    "until": "valid_until_date", "years": "retention_years", "permission": "stated_permission_code", "modifiers": "stated_modifier_codes",
    "signer": "signer_code", "basis": "signer_basis_code", "form": "form_code", "by": "told_by", "covers": "covers_from_date",
}  # fmt: skip
CHILD = "signer=parent basis=minor until=2020-05-31"


@dataclass(frozen=True)
class Case:
    """One person.

    Attributes:
        events: In no order that counts.
        in_force: Scopes in force on the day, with their permission.
        said: Finding or notice of each event, `-` for none.
    """

    events: str
    in_force: tuple[str, ...] = ()
    said: str = "-"


CASES = {
    "nobody granted what is withdrawn: the number may be another's": Case("2022-01-01 withdraw all", said="withdraws_nothing"),
    "withdrawn twice: the first day stands": Case(
        "2020-01-01 grant clinical\n2021-01-01 withdraw clinical\n2022-01-01 withdraw all", said="- - withdrawn_before"
    ),
    "withdrawn, granted again, withdrawn again: no repetition": Case(
        "2020-01-01 grant clinical\n2021-01-01 withdraw all\n2022-01-01 reconsent clinical\n2023-01-01 withdraw all", said="- - - -"
    ),
    "another scope is withdrawn than was granted": Case(
        "2020-01-01 grant clinical\n2021-01-01 withdraw genomic", ("clinical HMB",), "- withdraws_nothing"
    ),
    "a registry's no withdraws what was never granted: no mistake": Case("2021-01-01 withdraw genomic by=registry"),
    "granted and withdrawn on one day: withdrawn": Case(
        "2020-01-01 grant clinical\n2020-01-01 withdraw all", said="contradicted_that_day -"
    ),
    "granted wide and narrow on one day: narrow": Case(
        "2020-01-01 grant clinical permission=GRU\n2020-01-01 grant clinical permission=HMB modifiers=NCU", ("clinical HMB NCU",),
        "contradicted_that_day contradicted_that_day",
    ),
    "granted with and without an end on one day: with": Case(
        "2020-01-01 grant clinical until=2023-01-01\n2020-01-01 change clinical", said="contradicted_that_day contradicted_that_day"
    ),
    "a registry's narrower grant beside a consent for all sites: no contradiction": Case(
        "2020-01-01 grant clinical permission=GRU\n2020-01-01 grant clinical permission=HMB by=registry only_site=r11",
        ("clinical GRU", "clinical HMB"), "- -",
    ),
    "granted twice in the same words on one day": Case("2020-01-01 grant clinical\n2020-01-01 grant clinical", ("clinical HMB",), "- -"),
    "told in another order than it happened": Case(
        "2022-01-01 reconsent clinical\n2021-01-01 withdraw all\n2020-01-01 grant clinical", ("clinical HMB",), "- - -"
    ),
    "the withdrawal is told before the grant it ends": Case("2021-01-01 withdraw clinical\n2020-01-01 grant clinical", said="- -"),
    "a withdrawal from a coming day counts today": Case("2020-01-01 grant clinical\n2030-01-01 withdraw clinical", said="- -"),
    "a grant from a coming day counts from then": Case("2030-01-01 grant clinical"),
    "a refusal of a coming day does not undo that the person withdrew": Case(
        "2020-01-01 grant clinical\n2025-01-01 withdraw all\n2026-01-01 grant clinical", said="- - -"
    ),
    "a grant of a scope nobody knows adds nothing and takes nothing": Case(
        "2020-01-01 grant clinical\n2021-01-01 grant dreams", ("clinical HMB",), "- unknown_scope"
    ),
    "a withdrawal from a scope nobody knows takes everything": Case(
        "2020-01-01 grant clinical\n2020-01-01 grant genomic\n2021-01-01 withdraw dreams", said="- - unknown_scope"
    ),
    "everything granted at once": Case("2020-01-01 grant all", said="grant_of_all_scopes"),
    "a word nobody knows ends what was granted": Case("2020-01-01 grant clinical\n2021-01-01 permit clinical", said="- unknown_event_type"),
    "a permission nobody knows": Case("2020-01-01 grant clinical permission=ANY", said="unknown_permission"),
    "a modifier without its value": Case("2020-01-01 grant clinical modifiers=NCU;GS", said="unknown_modifier"),
    "one disease, not named": Case("2020-01-01 grant clinical permission=DS", said="disease_not_named"),
    "signed by a neighbour": Case("2020-01-01 grant clinical signer=neighbour basis=minor until=2030-01-01", said="unknown_signer"),
    "signed by another without a reason": Case("2020-01-01 grant clinical signer=representative", said="proxy_without_right"),
    "signed by another for old age, which is no reason": Case(
        "2020-01-01 grant clinical signer=guardian basis=age", said="proxy_without_right"
    ),
    "signed for a minor without the day of majority": Case("2020-01-01 grant clinical signer=parent basis=minor", said="proxy_without_end"),
    "a proxy's bad grant ends the good one before it": Case(
        "2020-01-01 grant clinical\n2021-01-01 change clinical signer=representative", said="- proxy_without_right"
    ),
    "the minor's consent ran out and nobody asked again": Case(f"2015-01-01 grant clinical {CHILD}"),
    "asked again after majority": Case(f"2015-01-01 grant clinical {CHILD}\n2020-06-01 reconsent clinical", ("clinical HMB",), "- -"),
    "asked again on the last day of minority": Case(
        f"2015-01-01 grant clinical {CHILD}\n2020-05-31 reconsent clinical", said="- signed_before_majority"
    ),
    "a minor who signed alone, years before a parent did": Case(
        f"2012-01-01 grant genomic\n2015-01-01 grant clinical {CHILD}", said="signed_before_majority -"
    ),
    "of two days of majority the later counts": Case(
        f"2015-01-01 grant clinical {CHILD}\n2015-01-01 grant genomic signer=parent basis=minor until=2021-05-31\n2020-06-01 reconsent clinical",
        said="- - signed_before_majority",
    ),
    "a hospital that does not tell who signed is no minor's own word": Case(
        f"2015-01-01 grant clinical {CHILD}\n2019-01-01 grant genomic by=fhir", ("genomic HMB",), "- -"
    ),
    "a guardian of an adult without capacity": Case("2020-01-01 grant clinical signer=guardian basis=incapacity", ("clinical HMB",)),
    "a form nobody knows permits health research at most": Case(
        "2020-01-01 grant clinical form=LEAFLET permission=NRES\n2020-01-01 grant genomic form=LEAFLET permission=DS disease_code=KCD:E11\n"
        "2020-01-01 grant specimen form=LEAFLET permission=POA",
        ("clinical HMB", "genomic DS"), "unknown_form unknown_form unknown_form",
    ),
    "the site's own name of form 41": Case("2020-01-01 grant specimen form=OURS-7", ("specimen GRU",)),
    "another site's name of a form": Case("2020-01-01 grant specimen form=OURS-7 site=c02", ("specimen HMB",), "unknown_form"),
    "a registry's form, declared with its items": Case("2020-01-01 grant clinical form=R11/2024 by=registry only_site=r11", ("clinical HMB",)),
    "fewer than no years": Case("2020-01-01 grant clinical form=KR-34 years=-1", said="ends_before_it_begins"),
    "no years: that day alone": Case("2024-06-01 grant clinical form=KR-34 years=0", ("clinical HMB",)),
    "years not told: as long as the form's 'for good'": Case("1990-01-01 grant clinical form=KR-34", ("clinical HMB",)),
    "years that no calendar holds": Case("2020-01-01 grant clinical form=KR-34 years=2000000000", ("clinical HMB",)),
    "the earlier of two ends": Case("2020-01-01 grant clinical form=KR-34 years=3 until=2099-01-01"),
    "ends before it begins": Case("2020-01-01 grant clinical until=2019-12-31", said="ends_before_it_begins"),
}  # fmt: skip


def _event(person: int, number: int, line: str) -> dict[str, Any]:
    day, kind, scope, *fields = line.split()
    event: dict[str, Any] = {
        "record_id": 1000 * person + number, "person_id": person, "person_bucket": 0, "site": "c01", "told_by": "service", "event_type": kind,
        "scope_code": scope, "effective_date": day, "form_version": "1",
    }  # fmt: skip
    for name, _, value in (f.partition("=") for f in fields):
        event[NAMES.get(name, name)] = value
    return {"signer_code": "self", **event} if event["told_by"] == "service" else event


def _built(events: list[dict[str, Any]]) -> Marts:
    marts = Marts()
    for name in ("stg_consent__events", "stg_fhir__consents", "stg_registry__consents"):
        marts.db.execute(f"create table {name} ({', '.join(f'{c} {t}' for c, t in COLUMNS.items())})")
    marts.add("stg_consent__events", events)
    marts.db.execute(
        "create table seed_consent_form as from read_csv(?)", [str(REPOSITORY / "dbt_project/seeds/consent/seed_consent_form.csv")]
    )
    marts.db.execute(
        "create table stg_reference__code_maps as select 'c01' as site, 'consent_form' as source_system, 'Ours-7' as source_code, 'KR-41' as target_code"
    )
    marts.db.execute("create table people_sighting (person_id bigint, person_bucket integer, site varchar)")
    marts.db.execute("create table stg_reference__sites (site varchar, legal_basis varchar)")
    marts.build("consent_relation", "consent_withdrawal", "gov_consent_events")
    return marts


def _lines(case: Case) -> list[str]:
    return case.events.splitlines()


@pytest.fixture(scope="module")
def told() -> Marts:
    """Every case is one person, told forwards; its number is its place in the list."""
    return _built([_event(n, k, line) for n, case in enumerate(CASES.values()) for k, line in enumerate(_lines(case))])


@pytest.fixture(scope="module")
def told_backwards() -> Marts:
    """The same events, the last first, under record numbers that fall."""
    return _built([_event(n, 9 - k, line) for n, case in enumerate(CASES.values()) for k, line in reversed(list(enumerate(_lines(case))))])


def _in_force(marts: Marts, person: int) -> tuple[str, ...]:
    rows = marts.rows(
        f"select concat_ws(' ', scope_code, permission_code, modifier_codes) as one from consent_relation where person_id = {person}"
    )
    return tuple(sorted(r["one"] for r in rows))


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_all_be_right_is_read_strictly_and_told(told: Marts, told_backwards: Marts, name: str) -> None:
    person, case = list(CASES).index(name), CASES[name]
    assert _in_force(told, person) == case.in_force
    assert _in_force(told_backwards, person) == case.in_force, "the order of arrival counts"
    rows = told.rows(
        f"select coalesce(finding_code, notice_code, '-') as said from int_consent_events__understood where person_id = {person} order by record_id"
    )
    said = case.said.split()
    assert [r["said"] for r in rows] == (said if len(said) == len(rows) else said * len(rows)), (
        "every event is there, and what is wrong with it"
    )


def test_no_bad_event_is_lost_on_its_way_to_the_page(told: Marts) -> None:
    events = sum(len(_lines(case)) for case in CASES.values())
    assert told.one("(select count(*) from int_consent_events__understood)") == events
    marked = told.rows("select finding_code, bool_or(is_refused) as is_refused from gov_consent_events group by 1")
    refused = {r["finding_code"] for r in marked if r["is_refused"]}
    assert {r["finding_code"] for r in marked} - {"understood"} <= set(FINDINGS)
    assert refused == {c for c, m in FINDINGS.items() if "grants nothing" in m.counts or "adds nothing" in m.counts}


def test_destruction_is_ordered_by_withdrawals_alone(told: Marts) -> None:
    """A sample cannot be put back together: what is not understood ends consent and destroys nothing."""
    ordered = {list(CASES)[r["person_id"]] for r in told.rows("select distinct person_id from consent_withdrawal")}
    assert "withdrawn twice: the first day stands" in ordered
    assert "granted and withdrawn on one day: withdrawn" in ordered
    assert "a withdrawal from a scope nobody knows takes everything" not in ordered
    assert "a registry's no withdraws what was never granted: no mistake" not in ordered
    day = told.one(
        f"(select max(withdrawn_date) from consent_withdrawal where person_id = {list(CASES).index('withdrawn twice: the first day stands')} and scope_code = 'clinical')"
    )
    assert day == date(2021, 1, 1)


def test_the_page_of_consent_lists_every_finding_and_how_it_counts() -> None:
    page = (REPOSITORY / "docs" / "CONSENT.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    assert {code: (wrong, counts, remedy) for code, wrong, counts, remedy in listed} == {
        code: (m.wrong, m.counts, m.remedy) for code, m in FINDINGS.items()
    }
    macro = (REPOSITORY / "dbt_project" / "macros" / "consent.sql").read_text(encoding="utf-8")
    model = (REPOSITORY / "dbt_project" / "models" / "standard" / "int_consent_events__understood.sql").read_text(encoding="utf-8")
    by_sql = set(re.findall(r"then '([a-z]+(?:_[a-z]+)+)'", macro.partition("consent_finding()")[2].partition("endmacro")[0] + model))
    assert by_sql == set(FINDINGS) - {"begins_later", "withdraws_ahead", "granted_after_death"}
