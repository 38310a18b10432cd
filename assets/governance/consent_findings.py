"""What is wrong with consent events: the closed list, and where each such event stands in what was delivered.

Belongs here: what a finding means, and finding the delivery, file and record. Does not belong here: judging an event (`dbt_project/macros/consent.sql`,
`int_consent_events__understood`), counting by sender (`gov_consent_events`). No value of a record and no person is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

from assets.lake.extensions import open_duckdb
from assets.lake.sql import sql_literal
from assets.landing.workspace import Workspace

EVENTS = "standard/int_consent_events__understood"
_DEATH = "omop/death"
_DELIVERED = ("raw/consent/event", "raw/fhir/consent", "raw/redcap/consent_event", "raw/cdisc_odm/consent_event")
_NOTHING = "grants nothing; ends what was granted before"


@dataclass(frozen=True)
class Meaning:
    """What is wrong, how the event counts all the same, and what to do."""

    wrong: str
    counts: str
    remedy: str


FINDINGS: Mapping[str, Meaning] = {
    "unknown_event_type": Meaning("says what happened in a word that is in no list", _NOTHING, "send grant, change, reconsent, withdraw or expire"),
    "unknown_scope": Meaning(
        "names a scope that is in no list", "a grant of it adds nothing; a withdrawal from it ends everything", "send one of the nine scopes"
    ),
    "unknown_permission": Meaning("permits something that is in no list", _NOTHING, "send NRES, GRU, HMB, DS or POA"),
    "unknown_modifier": Meaning("limits the use by something that is in no list, or lacks its value", _NOTHING, "send DUO modifiers, such as NCU;GS=KR"),
    "unknown_signer": Meaning("was signed by somebody who is in no list", _NOTHING, "send self, parent, guardian or representative"),
    "grant_of_all_scopes": Meaning("grants everything at once", "adds nothing", "send one grant for each scope that was ticked"),
    "disease_not_named": Meaning("permits research on one disease and does not name it", _NOTHING, "send the disease, such as KCD:E11"),
    "proxy_without_right": Meaning("was signed by another, who does not say why", _NOTHING, "send minor or incapacity as the basis"),
    "proxy_without_end": Meaning(
        "was signed for a minor, without the day on which the minor decides alone", _NOTHING, "send the last day before majority as valid_until"
    ),
    "signed_before_majority": Meaning(
        "was signed by the person alone on a day on which a parent or guardian still decided", _NOTHING,
        "correct the date, or the last day of the proxy; else have it signed again",
    ),
    "ends_before_it_begins": Meaning("ends before it begins, or keeps records for fewer than no years", _NOTHING, "correct the last day or the years"),
    "unknown_form": Meaning(
        "names a form that is in no list", "permits health research (HMB) at most; POA grants nothing",
        "add the form to seed_consent_form, or to [codes.consent_form] of the site file",
    ),
    "contradicted_that_day": Meaning(
        "grants what another event of the same day refuses, or grants in other words", "the refusal counts; of two grants the narrower",
        "say which of them was last",
    ),
    "withdraws_nothing": Meaning(
        "withdraws what nobody granted: perhaps the number is wrong, and somebody else meant to leave", "stands; it ends what comes late",
        "check the person's number with the sender at once",
    ),
    "withdrawn_before": Meaning("withdraws once more what was withdrawn before", "the first day stands", "nothing"),
    "begins_later": Meaning("grants from a day that lies ahead", "counts from its day", "nothing, if the day is right"),
    "withdraws_ahead": Meaning("withdraws from a day that lies ahead", "counts at once", "nothing, if the person wants to leave today"),
    "granted_after_death": Meaning(
        "grants after the day on which the person died, as far as the lake knows", "counts: one of two records is wrong, or belongs to another",
        "check the date and the person of both records",
    ),
}  # fmt: skip
"""Code -> meaning. docs/CONSENT.md holds the same list; a test compares them. The last three depend on the day and on other records."""


@dataclass(frozen=True)
class Found:
    """One event with a finding. `file` is the neutral reference, `record` its number in it."""

    code: str
    site: str
    delivery: str
    table: str
    file: str
    record: int


def consent_findings(workspace: Workspace, *, day: date, site: str | None = None, code: str | None = None) -> list[Found]:
    """Every consent event with a finding, by code, site, file and record.

    Args:
        workspace: The lake, as the last build left it; without a build there is nothing.
        day: What lies ahead is told from here.
        site: Only this sender.
        code: Only this finding.
    """
    if workspace.commits.latest_version(EVENTS) is None:
        return []
    with open_duckdb() as connection:
        connection.execute(f"create temp table found as {_found_sql(workspace, day)}")
        found = list(_located(connection, workspace))
    return sorted(
        (f for f in found if site in (None, f.site) and code in (None, f.code)),
        key=lambda f: (f.code, f.site, f.delivery, f.file, f.record),
    )


def _found_sql(workspace: Workspace, day: date) -> str:
    today = f"date {sql_literal(day.isoformat())}"
    deaths = workspace.scan(_DEATH)
    dead = f"(select person_id, death_date from {deaths})" if deaths else None
    after_death = (
        f"or event.is_grant and event.effective_date > (select min(d.death_date) from {dead} as d where d.person_id = event.person_id)"
    )
    return f"""
        select distinct event.site, event.record_id, unnest(list_filter([
            coalesce(event.finding_code, event.notice_code),
            case when event.is_grant and event.effective_date > {today} then 'begins_later' end,
            case when event.event_type = 'withdraw' and event.effective_date > {today} and event.effective_date < date '9999-12-31'
                then 'withdraws_ahead' end,
            case when false {after_death if dead else ""} then 'granted_after_death' end
        ], lambda code: code is not null)) as code
        from {workspace.scan(EVENTS)} as event
    """


def _located(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> Iterator[Found]:
    """Delivery, file and record of the newest version of each event that was found."""
    for table in _DELIVERED:
        if (source := workspace.scan(table)) is None:
            continue
        rows = connection.execute(f"""
            select code, site, _delivery_id, _source_file, _row_number
            from found inner join {source} as delivered using (site, record_id)
            qualify row_number() over (partition by site, record_id, code order by _sequence desc, _row_number desc, _source_file desc) = 1
        """).fetchall()
        yield from (Found(code, site, delivery, table, file, record) for code, site, delivery, file, record in rows)
