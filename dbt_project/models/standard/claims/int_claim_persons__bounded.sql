{{ config(materialized='view') }}

-- What agencies know of a person. The province is that of the last year, under its present name. Ages and age groups of several years bound the year of birth; the middle of what is left speaks.
-- A year of no calendar and an age or age group that nobody reaches bound nothing.
with nhis as (

    select
        * replace (
            {{ plausible_year('year') }} as year,
            case when age_group_code between 0 and 30 then age_group_code end as age_group_code
        )
    from {{ ref('stg_claims_nhis__qualifications') }}

),

hira as (

    select * replace (case when age_years between 0 and 150 then age_years end as age_years)
    from {{ ref('stg_claims_hira__statements') }}

),

told as (

    select
        person_id,
        person_bucket,
        site,
        sex_code,
        case
            when age_group_code >= 18 then year - 115
            when age_group_code >= 2 then year - (age_group_code * 5 - 1)
            when age_group_code = 1 then year - 4
            when age_group_code = 0 then year
        end as born_from,
        case
            when age_group_code >= 2 then year - (age_group_code - 1) * 5
            when age_group_code = 1 then year - 1
            when age_group_code = 0 then year
        end as born_until,
        last_day({{ first_of_month('death_year_month') }}) as death_date,
        death_year_month is not null as is_deceased,
        death_cause_code,
        year,
        province_code
    from nhis
    union all
    select
        person_id,
        person_bucket,
        site,
        sex_code,
        year(started_date) - age_years - 1 as born_from,
        year(started_date) - age_years as born_until,
        null as death_date,
        false as is_deceased,
        null as death_cause_code,
        null as year,
        null as province_code
    from hira

),

bounded as (

    select
        person_id,
        person_bucket,
        site,
        min(sex_code) as sex_code,
        max(born_from) as born_from,
        min(born_until) as born_until,
        min(death_date) as death_date,
        bool_or(is_deceased) as is_deceased,
        min(death_cause_code) as cause_source_value,
        max_by(province_code, year) filter (where province_code is not null) as province_code
    from told
    group by person_id, person_bucket, site

)

select
    {{ surrogate_id(["'claims'", 'site', 'person_id']) }} as record_id,
    person_id,
    person_bucket,
    site,
    cast(floor((greatest(born_from, born_until - 115) + born_until + 1) / 2) as integer) as birth_year,
    case sex_code when '1' then 'M' when '2' then 'F' end as gender_code,
    'KR' as country_code,
    province.current_province_name as state_name,
    'claims' as death_source,
    'month' as death_precision,
    death_date,
    is_deceased,
    'KCD' as cause_system,
    case when death_date is not null then {{ enrolment_type() }} end as death_type_concept_id,
    case when death_date is not null then cause_source_value end as cause_source_value
from bounded
left join {{ ref('province') }} as province on province.province_code = bounded.province_code
