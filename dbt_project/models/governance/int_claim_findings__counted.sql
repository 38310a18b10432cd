{{ config(partition_by='person_bucket') }}

-- What is odd in claims, a bucket at a time, so that a delivery recounts only what it touched. Lines are counted by code and kind: whether a
-- code is of two kinds only all buckets together tell.
with found as (

    select site, 'after_death' as finding, null as edi_code, null as category, person_bucket
    from {{ person_ref('claim') }} as claim
    where is_after_death
    union all
    select site, 'shares_do_not_add_up', null, null, person_bucket
    from {{ person_ref('claim') }} as claim
    where cast(adjudicated_patient_won as decimal(38, 0)) + adjudicated_insurer_won <> adjudicated_total_won
    union all
    select site, 'visit_days_out_of_range', null, null, person_bucket
    from {{ person_ref('claim') }} as claim
    where visit_days not between 0 and 36500
    union all
    select site, 'masked_sick_code', null, null, person_bucket
    from {{ person_ref('condition_occurrence') }} as diagnosis
    where condition_type_concept_id = {{ claim_type() }} and {{ is_masked_sick_code('condition_source_value') }}
    union all
    select site, 'category_sick_code', null, null, person_bucket
    from {{ person_ref('condition_occurrence') }} as diagnosis
    where condition_type_concept_id = {{ claim_type() }} and length(condition_source_value) = 3
    union all
    select site, 'quantity_out_of_range', null, null, person_bucket
    from {{ person_ref('claim_line') }} as line
    where quantity is null
    union all
    select site, 'year_out_of_range', null, null, person_bucket
    from {{ person_ref('eligibility_year') }} as enrolment
    where start_date is null
    union all
    select site, 'year_out_of_range', null, null, person_bucket
    from {{ person_ref('health_checkup') }} as checkup
    where examined_date is null
    union all
    select site, 'line', edi_code, category, person_bucket
    from {{ person_ref('claim_line') }} as line

)

select
    site,
    finding,
    cast(edi_code as varchar) as edi_code,
    cast(category as varchar) as category,
    count(*) as record_count,
    person_bucket
from found
group by site, finding, edi_code, category, person_bucket
