{{ config(partition_by='person_bucket') }}

-- Death is known by month: it is dated to the month's last day, so that care in that month never comes after it. A year of no calendar has no days.
with qualifications as (

    select
        *,
        last_day({{ first_of_month('death_year_month') }}) as death_month_end_date
    from {{ ref('stg_claims_nhis__qualifications') }}

)

select
    eligibility_year_id,
    person_id,
    site,
    year,
    {{ date_from_parts(plausible_year('year'), 1, 1) }} as start_date,
    case
        when year(death_month_end_date) = year then death_month_end_date
        else {{ date_from_parts(plausible_year('year'), 12, 31) }}
    end as end_date,
    sex_code,
    age_group_code,
    qualifications.province_code,
    province.current_province_code,
    insurance_type_code,
    income_decile,
    disability_grade_code,
    disability_type_code,
    death_year_month,
    death_month_end_date,
    death_cause_code,
    person_bucket
from qualifications
left join {{ ref('province') }} as province on province.province_code = qualifications.province_code
