-- What is odd in claims, counted and left in place. Rebuilt whole: it reads no more than a few columns of the core tables.
with codes as (

    select site, edi_code, count(*) as records, count(distinct category) as kinds, count(*) filter (where category is null) as unknown
    from {{ ref('claim_line') }}
    group by site, edi_code

),

counted as (

    select site, 'after_death' as finding, count(*) as records from {{ ref('claim') }} where is_after_death group by site
    union all
    select site, 'shares_do_not_add_up', count(*)
    from {{ ref('claim') }}
    where cast(adjudicated_patient_won as decimal(38, 0)) + adjudicated_insurer_won <> adjudicated_total_won
    group by site
    union all
    select site, 'masked_sick_code', count(*)
    from {{ ref('condition_occurrence') }}
    where condition_type_concept_id = {{ claim_type() }} and {{ is_masked_sick_code('condition_source_value') }}
    group by site
    union all
    select site, 'category_sick_code', count(*)
    from {{ ref('condition_occurrence') }}
    where condition_type_concept_id = {{ claim_type() }} and length(condition_source_value) = 3
    group by site
    union all
    select site, 'visit_days_out_of_range', count(*) from {{ ref('claim') }} where visit_days not between 0 and 36500 group by site
    union all
    select site, 'quantity_out_of_range', count(*) from {{ ref('claim_line') }} where quantity is null group by site
    union all
    select site, 'year_out_of_range', count(*)
    from (
        select site from {{ ref('eligibility_year') }} where start_date is null
        union all
        select site from {{ ref('health_checkup') }} where examined_date is null
    ) as undated
    group by site
    union all
    select site, 'code_of_two_kinds', sum(records) from codes where kinds > 1 group by site
    union all
    select site, 'line_without_kind', sum(unknown) from codes group by site

)

select
    site,
    finding,
    case when records < 5 then '<5' else cast(records as varchar) end as record_count
from counted
where records > 0
