-- OMOP holds only what consent covers; a cohort must not leave it by any road of its own.
with events as (

    select person_id, qualified_date as event_date from {{ person_ref('cohort_type2_diabetes') }}
    union
    select person_id, measured_date from {{ person_ref('cohort_type2_diabetes_measurements') }}
    union
    select person_id, line_start_date from {{ person_ref('cohort_type2_diabetes_drug_lines') }}
    union
    select person_id, qualified_date from {{ person_ref('cohort_chronic_kidney_disease') }}
    union
    select person_id, onset_date from {{ person_ref('cohort_chronic_kidney_disease') }}
    union
    select person_id, from_date from {{ person_ref('cohort_chronic_kidney_disease_stages') }}

)

select count(*) as event_count
from events as e
where not exists (
    select 1
    from {{ person_ref('consent_relation') }} as c
    where c.person_id = e.person_id
        and c.scope_code in ('clinical', 'claims', 'all') -- OMOP holds records of both scopes
        and coalesce(c.valid_from, date '0001-01-01') <= e.event_date
        and coalesce(c.valid_to, date '9999-12-31') >= e.event_date
)
having count(*) > 0
