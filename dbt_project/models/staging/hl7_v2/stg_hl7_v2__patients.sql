-- A site says the same of a person in many messages. The registration (ADT) speaks first, then the newest message; what it leaves
-- open, the others may tell.
{% set attributes = [
    'birth_year', 'birth_month', 'birth_day', 'gender_code', 'race_code', 'ethnicity_code', 'address_state', 'address_country', 'deceased_at'
] %}

with ranked as (

    select
        *,
        row_number() over (
            partition by site, person_id
            order by case when is_registration then 0 else 1 end, recorded_at desc nulls last, record_id
        ) as quality
    from {{ consented_rows('hl7_v2', 'patient') }} as patient

),

folded as (

    select
        min_by(record_id, quality) as record_id,
        person_id,
        person_bucket,
        site,
        {% for attribute in attributes -%}
        min_by({{ attribute }}, quality) filter (where {{ attribute }} is not null) as {{ attribute }},
        {% endfor -%}
        min_by(is_deceased, quality) filter (where is_deceased is not null) as is_deceased
    from ranked
    group by person_id, person_bucket, site

)

select
    record_id,
    person_id,
    person_bucket,
    site,
    birth_year,
    birth_month,
    birth_day,
    gender_code,
    race_code,
    ethnicity_code,
    address_state as state_name,
    address_country as country_code,
    {{ local_date('deceased_at') }} as death_date,
    deceased_at as death_at,
    coalesce(is_deceased, deceased_at is not null) as is_deceased
from folded
