{{ config(partition_by='person_bucket') }}

-- One row a person. Each attribute comes from the best record that has it: the more complete birth date, then site, then record.
-- Of death the registry that knows the day speaks first, then hospitals, then a registry that knows the month, then insurers; a death before
-- birth does not count, and a year of birth in which no patient can have lived is none. Day, instant and kind of record come from one record, and so
-- do the cause and its concept.
{% set attributes = [
    'birth_year', 'birth_month', 'birth_day', 'gender_id', 'race_id',
    'ethnicity_id', 'gender_code', 'race_code', 'ethnicity_code', 'place_name',
    'country_code', 'location_id', 'provider_id', 'care_site_id'
] %}
{% set death = {'death_date': 'date', 'death_at': 'date', 'death_type_concept_id': 'date', 'cause_concept_id': 'cause',
    'cause_source_value': 'cause', 'cause_system': 'cause'} %}

with records as (

    {{ union_by_name([
        'stg_fhir__patients', 'stg_ccda__patients', 'stg_synthea_csv__patients', 'stg_emr_csv__patients', 'stg_lims__donors', 'stg_biobank_participants__persons', 'stg_omop__persons', 'stg_omop__deaths',
        'int_claim_persons__bounded', 'stg_hl7_v2__patients', 'stg_death_registry__deaths',
        'stg_registry__participants'
    ]) }}

),

ranked as (

    select
        * replace ({{ plausible_year('birth_year') }} as birth_year),
        row_number() over (
            partition by person_id
            order by
                case
                    when {{ plausible_year('birth_year') }} is null then 3
                    when birth_month is null then 2
                    when birth_day is null then 1
                    else 0
                end,
                site,
                record_id
        ) as quality
    from records

),

-- no day before the first on which the person can have been born, as far as the best records tell it
placed as (

    select
        *,
        coalesce(death_source, 'hospital') as told_by,
        case
            when death_source = 'registry' and death_precision = 'day' then 1
            when death_source is null then 2
            when death_source = 'registry' then 3
            else 4
        end as precedence,
        coalesce(
            {{ day_number('year(death_date)', 'month(death_date)', 'day(death_date)') }} < {{ day_number(
                'min_by(birth_year, quality) filter (where birth_year is not null) over (partition by person_id)',
                'coalesce(min_by(birth_month, quality) filter (where birth_month is not null) over (partition by person_id), 0)',
                'coalesce(min_by(birth_day, quality) filter (where birth_day is not null) over (partition by person_id), 0)'
            ) }},
            false
        ) as is_before_birth
    from ranked

),

chosen as (

    select
        *,
        row_number() over (
            partition by person_id
            order by case when death_date is not null and not is_before_birth then 0 else 1 end, precedence, quality
        ) = 1 and death_date is not null and not is_before_birth as speaks_of_date,
        row_number() over (
            partition by person_id
            order by case when {{ names_cause() }} then 0 else 1 end, precedence, quality
        ) = 1 and {{ names_cause() }} as speaks_of_cause
    from placed

),

coded as (

    select
        chosen.*,
        coalesce(nullif(chosen.gender_concept_id, 0), gender.concept_id) as gender_id,
        coalesce(nullif(chosen.race_concept_id, 0), race.concept_id) as race_id,
        coalesce(nullif(chosen.ethnicity_concept_id, 0), ethnicity.concept_id) as ethnicity_id,
        coalesce(place.current_province_name, chosen.state_name) as place_name
    from chosen
    left join {{ ref('value_concept') }} as gender
        on gender.field = 'gender' and gender.source_code = lower(chosen.gender_code)
    left join {{ ref('value_concept') }} as race
        on race.field = 'race' and race.source_code = lower(chosen.race_code)
    left join {{ ref('value_concept') }} as ethnicity
        on ethnicity.field = 'ethnicity' and ethnicity.source_code = lower(chosen.ethnicity_code)
    left join {{ ref('province_name') }} as place
        on place.written_name = lower(trim(chosen.state_name))
        and coalesce(upper(chosen.country_code) in ('KR', 'KOR', 'KOREA', '대한민국'), true)

)

select
    person_id,
    person_bucket,
    {% for attribute in attributes -%}
    min_by({{ attribute }}, quality) filter (where {{ attribute }} is not null) as {{ 'state_name' if attribute == 'place_name' else attribute }},
    {% endfor -%}
    {% for attribute, about in death.items() -%}
    max({{ attribute }}) filter (where speaks_of_{{ about }}) as {{ attribute }},
    {% endfor -%}
    max(site) filter (where speaks_of_date) as death_site,
    max(told_by) filter (where speaks_of_date) as death_source,
    max(record_id) filter (where speaks_of_date) as death_record_id,
    coalesce(bool_or(is_deceased), false) as is_deceased,
    coalesce(bool_or(is_before_birth), false) as has_death_before_birth,
    min_by(site, quality) as site,
    count(distinct site) as site_count
from coded
group by person_id, person_bucket
