{{ config(partition_by='person_bucket') }}

select
    eligibility.eligibility_year_id as payer_plan_period_id,
    eligibility.person_id,
    eligibility.start_date as payer_plan_period_start_date,
    eligibility.end_date as payer_plan_period_end_date,
    cast(0 as bigint) as payer_concept_id,
    'NHIS' as payer_source_value,
    cast(0 as bigint) as payer_source_concept_id,
    cast(0 as bigint) as plan_concept_id,
    eligibility.insurance_type_code as plan_source_value,
    cast(0 as bigint) as plan_source_concept_id,
    cast(0 as bigint) as sponsor_concept_id,
    cast(null as varchar) as sponsor_source_value,
    cast(0 as bigint) as sponsor_source_concept_id,
    cast(null as varchar) as family_source_value,
    cast(0 as bigint) as stop_reason_concept_id,
    cast(null as varchar) as stop_reason_source_value,
    cast(0 as bigint) as stop_reason_source_concept_id,
    eligibility.site,
    eligibility.person_bucket
from {{ person_ref('eligibility_year') }} as eligibility
inner join {{ person_ref('person') }} as person on person.person_id = eligibility.person_id
where eligibility.start_date is not null
