{{ config(partition_by='person_bucket') }}

-- One row a person. Each attribute comes from the best record that has it: the more complete birth date, then site, then record.
{% set attributes = [
    'birth_year', 'birth_month', 'birth_day', 'gender_id', 'race_id',
    'ethnicity_id', 'gender_code', 'race_code', 'ethnicity_code', 'state_name',
    'country_code', 'location_id', 'provider_id', 'care_site_id', 'death_date',
    'death_at', 'death_type_concept_id', 'cause_concept_id', 'cause_source_value'
] %}

with records as (

    {{ union_by_name([
        'stg_fhir__patients', 'stg_ccda__patients', 'stg_synthea_csv__patients', 'stg_emr_csv__patients', 'stg_lims__donors', 'stg_biobank_participants__persons', 'stg_omop__persons', 'stg_omop__deaths',
        'int_claim_persons__bounded',
        'stg_hl7_v2__patients'
    ]) }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by person_id
            order by
                case
                    when birth_year is null then 3
                    when birth_month is null then 2
                    when birth_day is null then 1
                    else 0
                end,
                site,
                record_id
        ) as quality
    from records

),

coded as (

    select
        ranked.*,
        coalesce(nullif(ranked.gender_concept_id, 0), gender.concept_id) as gender_id,
        coalesce(nullif(ranked.race_concept_id, 0), race.concept_id) as race_id,
        coalesce(nullif(ranked.ethnicity_concept_id, 0), ethnicity.concept_id) as ethnicity_id
    from ranked
    left join {{ ref('value_concept') }} as gender
        on gender.field = 'gender' and gender.source_code = lower(ranked.gender_code)
    left join {{ ref('value_concept') }} as race
        on race.field = 'race' and race.source_code = lower(ranked.race_code)
    left join {{ ref('value_concept') }} as ethnicity
        on ethnicity.field = 'ethnicity' and ethnicity.source_code = lower(ranked.ethnicity_code)

)

select
    person_id,
    person_bucket,
    {% for attribute in attributes -%}
    min_by({{ attribute }}, quality) filter (where {{ attribute }} is not null) as {{ attribute }},
    {% endfor -%}
    coalesce(bool_or(is_deceased), false) as is_deceased,
    min_by(site, quality) as site,
    min_by(site, quality) filter (where death_date is not null) as death_site,
    count(distinct site) as site_count
from coded
group by person_id, person_bucket
