"""Records without a date that consent with a first day leaves out: how many, by site and raw table.

Belongs here: which columns tell the day of a record, counting. Does not belong here: leaving the records out (`consented_rows` in
dbt_project/macros/rows.sql, whose rules on versions and retractions are told here once more), the page (`consent_page`).
Nothing of a record is read but its day, its version and whose it is. Where nobody's consent has a first day, no raw table is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from assets.contracts.table import Entity, load_contract
from assets.lake.extensions import open_duckdb
from assets.lake.paths import Lake
from assets.lake.versions import scan_of
from assets.landing.links import newest_links

RELATION = "standard/consent_relation"
_LINKS, _SITES, _TOMBSTONES = "raw/people/link", "reference/site", "raw/fhir/tombstone"
_OPEN = "date '1800-01-01'"
"""Consent from this day or earlier is open to the past: it covers records without a date (`consented_rows`)."""

_DAYS: Mapping[str, str] = {
    "clinical": """
        fhir/observation effective_at; fhir/procedure performed_at; fhir/encounter started_at; fhir/family_member_history recorded_at;
        fhir/condition onset_at recorded_at; fhir/immunization occurred_at; fhir/allergy_intolerance onset_at recorded_at; fhir/device;
        fhir/medication_dispense handed_over_at; fhir/service_request authored_at; fhir/medication_statement started_at asserted_at;
        fhir/medication_request authored_at; fhir/imaging_study started_at; fhir/medication_administration started_at;
        hl7_v2/visit started_at ended_at recorded_at; hl7_v2/allergy onset_at recorded_at; hl7_v2/diagnosis diagnosed_at;
        hl7_v2/procedure performed_at; hl7_v2/observation_result measured_at; hl7_v2/document documented_at; hl7_v2/vaccination given_at;
        ccda/problem onset_at recorded_at; ccda/encounter started_at; ccda/observation measured_at; ccda/medication started_at recorded_at;
        ccda/allergy onset_at recorded_at; ccda/procedure performed_at; ccda/immunization given_at;
        emr_csv/diagnosis diagnosis_date; emr_csv/prescription prescribed_date; emr_csv/visit started_at; emr_csv/lab_result measured_at;
        synthea_csv/procedures started_at; synthea_csv/immunizations given_at; synthea_csv/medications started_at;
        synthea_csv/observations observed_at; synthea_csv/encounters started_at; synthea_csv/conditions start_date; synthea_csv/allergies start_date;
        omop/procedure_occurrence procedure_date; omop/observation_period observation_period_start_date; omop/death death_date;
        omop/device_exposure device_exposure_start_date; omop/drug_exposure drug_exposure_start_date; omop/measurement measurement_date;
        omop/condition_occurrence condition_start_date; omop/observation observation_date; omop/visit_occurrence visit_start_date;
        redcap/answer observed_date; cdisc_odm/answer observed_date; biobank_participants/participant assessed_date
    """,
    "specimen": """
        lims/usage occurred_at; lims/freeze_thaw occurred_at; lims/disposal occurred_at; lims/aliquot created_at; lims/custody occurred_at;
        lims/specimen collected_at; fhir/specimen collected_at received_at; omop/specimen specimen_date
    """,
    "claims": """
        claims_hira/statement started_date; claims_nhis/statement started_date; claims_nhis/qualification year;
        claims_nhis/checkup exam_year_month year; death_registry/death death_year death_month death_day death_year_month
    """,
    "imaging": "dicom/instance series_date study_date",
    "lifelog": "open_mhealth/data_point started_at interval_date",
}
DAYS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    f"raw/{words[0]}": (scope, tuple(words[1:])) for scope, text in _DAYS.items() for words in map(str.split, text.split(";"))
}
"""Raw table -> scope by which its records are read, columns that tell their day; none of a table whose records never have one."""

_IS_MONTH = "(# % 100 between 1 and 12 and # between 185001 and 230012)"
_PARTS: Mapping[str, str] = {
    "raw/claims_nhis/qualification": "not coalesce(year between 1850 and 2300, false)",
    "raw/claims_nhis/checkup": f"not coalesce({_IS_MONTH.replace('#', 'exam_year_month')}, year between 1850 and 2300, false)",
    "raw/death_registry/death": "not coalesce(death_year between 1 and 9999, false)"
    f" and not coalesce({_IS_MONTH.replace('#', 'death_year_month')}, false)",
}
"""Raw table -> SQL: no day can be made of the parts of a date that it tells."""


def tables_without_days() -> list[str]:
    """Raw tables whose contract lets a record come without a day."""
    return [key for key, (_, days) in DAYS.items() if key in _PARTS or not any(c.required for c in _entity(key).columns if c.name in days)]


def count_undated(lake: Lake, versions: Mapping[str, int]) -> list[dict[str, Any]] | None:
    """Records left out because they have no date and their person's consent covers records from a first day on.

    Args:
        lake: The lake.
        versions: Newest version of each table.

    Returns:
        One row a site and raw table, in that order: `site`, `table_name` (fhir/condition), `record_count`; None where nobody's consent has a
        first day. A record is the newest version of one that was not taken back, as `consented_rows` reads it.
    """
    if RELATION not in versions or _SITES not in versions:
        return None
    with open_duckdb() as connection:
        scans = {key: scan_of(lake, key, version) for key, version in versions.items()}
        if not _find_people(connection, scans):
            return None
        found = [row for key in tables_without_days() if key in scans for row in _count(connection, key, scans)]
    return sorted(found, key=lambda row: (row["site"], row["table_name"]))


def _find_people(connection: duckdb.DuckDBPyConnection, scans: Mapping[str, str]) -> bool:
    """Make `consent` (of people with a first day, all they agreed to) and `who` (each number they are known by); False where there are none."""
    bounded = f"from {scans[RELATION]} where valid_from > {_OPEN}"
    if not connection.execute(f"select person_id {bounded} limit 1").fetchall():  # answered by the statistics of the files
        return False
    connection.execute(f"""
        create table consent as
        select person_id, legal_basis, scope_code, only_site, coalesce(valid_from, date '0001-01-01') <= {_OPEN} as is_open
        from {scans[RELATION]}
        where person_id in (select person_id {bounded})
    """)
    links = (
        newest_links(scans[_LINKS])
        if _LINKS in scans
        else "(select null::bigint as alias_person_id, null::bigint as person_id where false)"
    )
    connection.execute(f"""
        create table who as
        with link as {links}, people as (select distinct person_id from consent)
        select alias_person_id as known_as, person_id from link semi join people using (person_id)
        union all
        select person_id, person_id from people where person_id not in (select alias_person_id from link)
    """)
    found = connection.execute("select count(*) > 0 from who").fetchone()
    return bool(found and found[0])


def _count(connection: duckdb.DuckDBPyConnection, key: str, scans: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    scope, days = DAYS[key]
    entity = _entity(key)
    family, name = entity.family, entity.name
    undated = _PARTS.get(key) or " and ".join(f"{day} is null" for day in days) or "true"
    order = "_sequence desc, version_at desc nulls last, _row_number desc, _source_file desc"
    covered = (
        "from consent as c where c.person_id = w.person_id and c.legal_basis = s.legal_basis and coalesce(c.only_site, r.site) = r.site"
    )
    covered += f" and c.scope_code in ('{scope}', 'all')"
    query = f"""
        with v as ({_rows(connection, entity, days, scans[key])}),
        candidate as (select v.site, v.record_id from v semi join who on who.known_as = v.person_id where {undated}),
        r as (
            select v.* from v semi join candidate using (site, record_id)
            qualify row_number() over (partition by site, record_id order by {order}) = 1
        )
        select r.site, count(*)
        from r
        join who as w on w.known_as = r.person_id
        join {scans[_SITES]} as s on s.site = r.site
        where {undated} and not is_taken_back and {_not_deleted(connection, family, name, scans)}
            and exists (select 1 {covered}) and not exists (select 1 {covered} and c.is_open)
        group by r.site
    """
    for site, records in connection.execute(query).fetchall():
        yield {"site": site, "table_name": f"{family}/{name}", "record_count": records}


def _entity(key: str) -> Entity:
    _, family, name = key.split("/")
    return load_contract(family).entities[name]


def _rows(connection: duckdb.DuckDBPyConnection, entity: Entity, days: tuple[str, ...], scan: str) -> str:
    """A query of what counting needs; columns that came after the table was last written are null."""
    have = {row[0] for row in connection.execute(f"describe select * from {scan}").fetchall()}
    back = [f"coalesce({c}, false)" for c in ("is_deleted",) if c in have]
    if entity.family == "fhir":
        back += [f"coalesce({c} = 'entered-in-error', false)" for c in ("status", "verification_status_code") if c in have]
    columns = ["record_id", "person_id", "site", "_sequence", "_row_number", "_source_file"]
    columns += [c if c in have else f"null as {c}" for c in dict.fromkeys(("version_at", *days))]
    return f"select {', '.join(columns)}, {' or '.join(back) or 'false'} as is_taken_back from {scan}"


def _not_deleted(connection: duckdb.DuckDBPyConnection, family: str, name: str, scans: Mapping[str, str]) -> str:
    """A tombstone reaches over all deliveries before its own, and over its own where it is the last thing that one says of the record."""
    if family != "fhir" or _TOMBSTONES not in scans:
        return "true"
    have = {row[0] for row in connection.execute(f"describe select * from {scans[_TOMBSTONES]}").fetchall()}
    own = "case when t.is_last then 1 else 0 end" if "is_last" in have else "0"
    return f"""not exists (
        select 1 from {scans[_TOMBSTONES]} as t
        where t.entity_name = '{name}' and t.site = r.site and t.record_id = r.record_id
            and 2 * t._sequence + {own} > 2 * r._sequence
    )"""
