"""How much of the truth of a simulated country is in a lake, stage by stage: precision and recall.

Belongs here: the comparison of `truth/*.parquet` with the ledger and the published catalogue. Does not belong here: what is true (`truth`), printing
(the CLI).

Facts are compared by site, the person's birth date and sex, concept and time: the catalogue holds no number of a person that truth knows, and need not.
Only people whose consent was in force on the as-of date, and records it covers, are expected; a fact of anybody else that is found is not true here.
Records planted to land although they are false (a wrong unit, a code nobody knows) are found and not true: they bound the precision from above.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from assets.simulation.codes import load_codes


@dataclass(frozen=True)
class Score:
    """One line of the report.

    Attributes:
        stage: landed, quarantined, fact, cohort or people.
        site: Site, or empty for what has none.
        what: Kind of record, reason or table.
        true: How many there should be.
        found: How many there are.
        both: How many of them are the same.
    """

    stage: str
    site: str
    what: str
    true: int
    found: int
    both: int

    @property
    def precision(self) -> float | None:
        """Share of what was found that is true; None where nothing was found."""
        return self.both / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of the truth that was found; None where nothing is true."""
        return self.both / self.true if self.true else None


_PEOPLE = """
    create view born as select person, birth_date, case sex when 'F' then 8532 else 8507 end as gender from people;
    create view agreed as
    select person, scope, covers_from_date from consent_states
    where active_from <= date '{day}' and coalesce(active_until > date '{day}', true);
    create view known as select person_id, gender_concept_id as gender, make_date(year_of_birth, month_of_birth, day_of_birth) as birth_date
    from lake.person where month_of_birth is not null and day_of_birth is not null
"""
_SEOUL = "interval 9 hour"
_FACTS: Mapping[str, tuple[str, str, str]] = {
    "visit": (
        "clinical",
        """select person, site, started_at_kst::date as day, concat_ws('|', case class when 'outpatient' then 9202 when 'inpatient' then 9201 else 9203 end,
           started_at_kst, ended_at_kst) as says from visits""",
        f"""select person_id, site, concat_ws('|', visit_concept_id, visit_start_datetime + {_SEOUL}, visit_end_datetime + {_SEOUL}) as says
            from lake.visit_occurrence""",
    ),
    "condition": (
        "clinical",
        "select person, site, date as day, concat_ws('|', concept, date) as says from conditions inner join code_conditions using (key)",
        "select person_id, site, concat_ws('|', condition_concept_id, condition_start_date) as says from lake.condition_occurrence",
    ),
    "drug": (
        "clinical",
        """select person, site, date as day, concat_ws('|', concept, date, date + days_supply::integer - 1) as says
           from drugs inner join code_drugs using (key)""",
        """select person_id, site, concat_ws('|', drug_concept_id, drug_exposure_start_date, drug_exposure_end_date) as says
           from lake.drug_exposure where drug_concept_id not in (select concept from code_vaccines)""",
    ),
    "vaccination": (
        "clinical",
        """select person, site, given_at_kst::date as day, concat_ws('|', concept, given_at_kst::date) as says
           from vaccinations inner join code_vaccines using (key)""",
        """select person_id, site, concat_ws('|', drug_concept_id, drug_exposure_start_date) as says
           from lake.drug_exposure where drug_concept_id in (select concept from code_vaccines)""",
    ),
    "procedure": (
        "clinical",
        "select person, site, date as day, concat_ws('|', concept, date) as says from procedures inner join code_procedures using (key)",
        "select person_id, site, concat_ws('|', procedure_concept_id, procedure_date) as says from lake.procedure_occurrence",
    ),
    "allergy": (
        "clinical",
        "select person, site, date as day, concat_ws('|', concept, date) as says from allergies inner join code_allergens using (key)",
        """select person_id, site, concat_ws('|', value_as_concept_id, observation_date) as says
           from lake.observation where observation_concept_id = 439224""",
    ),
    "result": (
        "clinical",
        """select person, site, measured_at_kst::date as day, concat_ws('|', concept, measured_at_kst, comparator) as says, delivered_value as value
           from labs inner join code_labs using (key)""",
        f"""select person_id, site, value_as_number as value, concat_ws('|', measurement_concept_id, measurement_datetime + {_SEOUL},
            case operator_concept_id when 4171756 then '<' when 4172704 then '>' else '' end) as says
            from lake.measurement where site like 'h%'""",
    ),
    "data point": (
        "lifelog",
        """select person, 'w11' as site, measured_at_kst::date as day, concat_ws('|', concept, measured_at_kst) as says, value
           from (select * from points where measure <> 'step_count') inner join code_points using (measure)""",
        f"""select person_id, site, value_as_number as value, concat_ws('|', measurement_concept_id, measurement_datetime + {_SEOUL}) as says
            from lake.measurement where site like 'w%' and measurement_concept_id not in (0, 3012888)""",
    ),
    "claim": (
        "claims",
        """select person, site, started_date as day, concat_ws('|', started_date, ended_date, adjudicated_total_won, is_after_death) as says
           from (select *, 'a11' as site from claims where a11_claim is not null union all select *, 'a12' from claims where a12_claim is not null)""",
        """select person_id, site, concat_ws('|', started_date, ended_date, adjudicated_total_won, is_after_death) as says from lake.claim""",
    ),
    "registered death": (
        "claims",
        """select person, 'a13' as site, death_date as day, concat_ws('|', death_date, coalesce(nullif(external_cause, ''), cause)) as says
           from deaths where known_at_a13""",
        """select person_id, site, concat_ws('|', death_date, cause_source_value) as says
           from lake.death_record where source_kind = 'registry' and not is_before_birth""",
    ),
    "registry diagnosis": (
        "clinical",
        """select person, 'r11' as site, date as day, concat_ws('|', concept, date) as says
           from registry_facts inner join code_conditions using (key)""",
        """select person_id, site, concat_ws('|', condition_concept_id, condition_start_date) as says
           from lake.condition_occurrence where site[1] = 'r'""",
    ),
    "registry result": (
        "clinical",
        """select person, 'r11' as site, date as day, concat_ws('|', concept, date) as says, value
           from registry_facts inner join code_labs using (key)""",
        """select person_id, site, value_as_number as value, concat_ws('|', measurement_concept_id, measurement_date) as says
           from lake.measurement where site[1] = 'r'""",
    ),
    "image series": (
        "imaging",
        "select person, 'h16' as site, series_date as day, concat_ws('|', modality, series_date, instance_count, has_burned_in_annotation) as says from images",
        """select person_id, site, concat_ws('|', modality_source_value, image_occurrence_date, instance_count, has_burned_in_annotation) as says
           from lake.image_occurrence""",
    ),
}
"""Kind -> consent scope, the truth, and what the catalogue says; both in one spelling. A `value` is compared within two percent: glucose is delivered in mmol/L with one decimal (4.55 as 4.6); a wrong unit is off by a factor."""

_POINTS = {"heart_rate": 3027018, "blood_pressure": 3004249, "body_weight": 3025315, "blood_glucose": 3000483}
_COHORTS = {"t2dm": "cohort_type2_diabetes", "ckd": "cohort_chronic_kidney_disease"}


def score(
    truth: Path, catalogue: Path, day: date, deliveries: Iterable[Mapping[str, Any]], quarantined: Iterable[Mapping[str, Any]]
) -> list[Score]:
    """Compare a lake with the truth.

    Args:
        truth: Folder `truth` of a simulated country.
        catalogue: The published catalogue, `biodam.duckdb`.
        day: As-of date of the build.
        deliveries: Rows of the ledger, one a delivery: `site`, `feed`, `delivery_id`, `landed`, `quarantined`, `duplicate`.
        quarantined: Rows of the quarantine: `site`, `delivery_id`, `row_number` (null where a file is refused), `reason`, `records`.

    Returns:
        Lines of the report: what landed and what was refused by site, facts by site and kind, people of the cohorts.
    """
    with duckdb.connect() as connection:
        for path in sorted(truth.glob("*.parquet")):
            connection.execute(f"create view {path.stem} as from read_parquet('{path}')")
        connection.execute(f"attach '{catalogue}' as lake (read_only)")
        _make_codes(connection)
        connection.execute(_PEOPLE.format(day=day))
        return [
            *_landed(connection, deliveries),
            *_refused(connection, quarantined),
            *_facts(connection),
            *_links(connection),
            *_cohorts(connection),
        ]


def _make_codes(connection: duckdb.DuckDBPyConnection) -> None:
    codes = load_codes()
    for name in ("conditions", "drugs", "labs", "procedures", "vaccines", "allergens"):
        listed = getattr(codes, name)
        connection.register(f"code_{name}", pa.table({"key": list(listed["key"]), "concept": list(listed["omop"])}))
    connection.register("code_points", pa.table({"measure": list(_POINTS), "concept": list(_POINTS.values())}))


def _landed(connection: duckdb.DuckDBPyConnection, deliveries: Iterable[Mapping[str, Any]]) -> Iterator[Score]:
    """Records of each delivery by what became of them; a delivery that says what another said is a duplicate as a whole."""
    found: Counter[tuple[str, str, str]] = Counter()
    for row in deliveries:
        for fate in ("landed", "quarantined", "duplicate"):
            found[row["site"], row["delivery_id"], fate] += row[fate]
    sql = (
        "select site, delivery_id, sum(landed)::bigint, sum(quarantined)::bigint, sum(duplicate)::bigint from expected_counts group by all"
    )
    true: Counter[tuple[str, str, str]] = Counter()
    for site, delivery, *counts in connection.execute(sql).fetchall():
        for fate, count in zip(("landed", "quarantined", "duplicate"), counts, strict=True):
            true[site, delivery, fate] = count
    yield from _summed("landed", true, found)


def _refused(connection: duckdb.DuckDBPyConnection, quarantined: Iterable[Mapping[str, Any]]) -> Iterator[Score]:
    """Planted records by delivery and reason."""
    found: Counter[tuple[str, str, str]] = Counter()
    for row in quarantined:
        found[row["site"], row["delivery_id"], row["reason"]] += row["records"]
    sql = "select site, delivery_id, reason, count(*) from planted_errors where expected = 'quarantined' and file is not null group by all"
    true = Counter({(site, delivery, reason): count for site, delivery, reason, count in connection.execute(sql).fetchall()})
    yield from _summed("quarantined", true, found)


def _summed(stage: str, true: Counter[tuple[str, str, str]], found: Counter[tuple[str, str, str]]) -> Iterator[Score]:
    """One line a site and last part of the key, of the sites that truth knows."""
    sites = {site for site, _, _ in true}
    lines: dict[tuple[str, str], list[int]] = {}
    for key in {*true, *(k for k in found if k[0] in sites)}:
        line = lines.setdefault((key[0], key[2]), [0, 0, 0])
        for place, count in enumerate((true[key], found[key], min(true[key], found[key]))):
            line[place] += count
    yield from (Score(stage, site, what, *counts) for (site, what), counts in sorted(lines.items()) if any(counts))


_COMPARED = """
    with wanted as (
        select distinct fact.site, {who}, says, {value} from ({truth}) as fact inner join born using (person)
        where exists (
            from agreed where agreed.person = fact.person and scope = '{scope}' and coalesce(covers_from_date <= fact.day, true)
        )
    ),
    found as (
        select distinct fact.site, {who}, says, {value} from ({lake}) as fact {known}
        where site in (select distinct site from expected_counts) and site[1] in ({places})
    ),
    both_of as (
        select wanted.site, count(distinct (wanted.birth_date, wanted.gender, wanted.says)) as n from wanted
        inner join found using (site, birth_date, gender, says)
        where wanted.value is null or abs(wanted.value - found.value) <= 0.02 * abs(wanted.value)
        group by all
    )
    select site, (select count(*) from wanted where wanted.site = s.site), (select count(*) from found where found.site = s.site),
        coalesce((select n from both_of where both_of.site = s.site), 0)
    from (select site from wanted union select site from found) as s order by site
"""


def _facts(connection: duckdb.DuckDBPyConnection) -> Iterator[Score]:
    """Facts of hospitals and devices by person; those of agencies by themselves, for they do not tell birth dates."""
    for kind, (scope, truth, lake) in _FACTS.items():
        named = kind not in ("claim", "registered death")
        sql = _COMPARED.format(
            who="birth_date, gender" if named else "date '1900-01-01' as birth_date, 0 as gender",
            known="inner join known using (person_id)" if named else "",
            value="value" if " value" in truth else "null::double as value",
            places="'r'" if kind.startswith("registry ") else "'h', 'w'" if named else "'a'",
            truth=truth,
            lake=lake,
            scope=scope,
        )
        for site, *counts in connection.execute(sql).fetchall():
            yield Score("fact", site, kind, *counts)


def _links(connection: duckdb.DuckDBPyConnection) -> Iterator[Score]:
    """Children and parents by birth dates, where both agreed to `genomic`, and to `clinical`, without which OMOP knows no birth date."""
    sql = """
        with both_scopes as (select person from agreed where scope in ('clinical', 'genomic') group by person having count(distinct scope) = 2),
        wanted as (
            select distinct child.birth_date, child.gender, parent.birth_date as other, relation
            from pedigree_links as link
            inner join born as child on child.person = link.person
            inner join born as parent on parent.person = link.parent
            where link.person in (from both_scopes) and link.parent in (from both_scopes)
        ),
        found as (
            select distinct child.birth_date, child.gender, parent.birth_date as other, relation_code as relation
            from lake.pedigree_link as link
            inner join known as child on child.person_id = link.person_id
            inner join known as parent on parent.person_id = link.parent_person_id
        )
        select (select count(*) from wanted), (select count(*) from found), (select count(*) from wanted natural join found)
    """
    yield Score("fact", "g11", "parent", *connection.execute(sql).fetchall()[0])


def _cohorts(connection: duckdb.DuckDBPyConnection) -> Iterator[Score]:
    """People of each cohort, against those who truly have the disease and agreed, and against those of them whom a hospital coded.

    The first line tells the precision of a cohort, the second its recall: nobody can find a disease that no record shows.
    """
    for disease, table in _COHORTS.items():
        for label, condition in (("ill", "true"), ("ill and coded", f"{disease}_coded_count > 0")):
            sql = f"""
                with wanted as (
                    select distinct birth_date, gender from cohort_inputs inner join born using (person)
                    where has_{disease} and has_clinical_consent and {condition}
                ),
                found as (select distinct birth_date, gender from lake.{table} inner join known using (person_id))
                select (select count(*) from wanted), (select count(*) from found),
                    (select count(*) from wanted inner join found using (birth_date, gender))
            """
            yield Score("cohort", "", f"{table}: {label}", *connection.execute(sql).fetchall()[0])
