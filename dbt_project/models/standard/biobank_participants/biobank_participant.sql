{{ config(partition_by='person_bucket') }}

-- Participants as the biobank describes them, also those whom OMOP cannot hold because no year of birth or day of assessment is told.
select
    record_id as participant_id,
    person_id,
    site,
    lower(sex_code) as sex_code,
    birth_year,
    assessed_date,
    death_date,
    recruitment_age_years,
    diabetes_age_years,
    hypertension_age_years,
    {% for column in participant_measures() -%}
    {{ column }},
    {% endfor -%}
    diabetes_answer,
    ever_smoked_answer,
    current_smoking_answer,
    past_smoking_answer,
    alcohol_frequency_answer,
    alcohol_amount_answer,
    family_death_answer,
    qualification_answer,
    birth_country_answer,
    ethnic_background_answer,
    crp_reportability_answer,
    {{ missing_reason('missing_answers', 'diabetes') }} as diabetes_missing_reason,
    cast(coalesce({{ list_length('missing_answers') }}, 0) as integer) as missing_answer_count,
    person_bucket
from {{ ref('stg_biobank_participants__participants') }} as participant
