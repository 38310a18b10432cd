{% set death_month_start -%}
coalesce({{ date_from_parts('death_year', 'death_month', 1) }}, {{ first_of_month('death_year_month') }})
{%- endset %}
{% set known_date -%}
coalesce({{ date_from_parts('death_year', 'death_month', 'death_day') }}, last_day({{ death_month_start }}))
{%- endset %}
{#- consent is judged at the last day on which the person may have died -#}
{% set last_possible_date = 'coalesce(' ~ known_date ~ ', ' ~ date_from_parts('death_year', 12, 31) ~ ')' %}

select
    record_id,
    person_id,
    person_bucket,
    site,
    'registry' as death_source,
    {{ known_date }} as death_date,
    case
        when death_day is not null then 'day'
        when {{ death_month_start }} is not null then 'month'
        when death_year is not null then 'year'
    end as death_precision,
    {{ death_certificate_type() }} as death_type_concept_id,
    'KCD' as cause_system,
    case
        when upper(substr(external_cause_code, 1, 1)) in ('V', 'W', 'X', 'Y')
            and coalesce(upper(substr(underlying_cause_code, 1, 1)) in ('S', 'T'), true)
            then external_cause_code
        else underlying_cause_code
    end as cause_source_value,
    underlying_cause_code,
    external_cause_code,
    place_type_code,
    reported_date,
    substr(region_code, 1, 2) as province_code,
    true as is_deceased
from {{ consented_rows('death_registry', 'death', event_date=last_possible_date, scope='claims') }} as death
