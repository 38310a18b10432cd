{{ config(materialized='view') }}

-- Measurements of participants as clinical events, one a field that has a value; and diabetes, where the participant says so.
with fields as (

    {% for column, field in participant_measures().items() -%}
    select '{{ field[0] }}' as field_code, '{{ field[1] }}' as unit_code{% if not loop.last %} union all {% endif %}
    {% endfor %}

),

measured as (

    select
        participant.record_id,
        participant.person_id,
        participant.person_bucket,
        participant.site,
        participant.assessed_date,
        fields.field_code,
        fields.unit_code,
        case fields.field_code
            {%- for column, field in participant_measures().items() %}
            when '{{ field[0] }}' then participant.{{ column }}
            {%- endfor %}
        end as value_number
    from {{ ref('stg_biobank_participants__participants') }} as participant
    cross join fields

)

select
    {{ surrogate_id(['record_id', 'field_code']) }} as record_id,
    person_id,
    person_bucket,
    site,
    'measurement' as event_kind,
    'UKB' as source_system,
    field_code as source_code,
    assessed_date as start_date,
    value_number,
    unit_code as unit_source_value,
    cast(null as bigint) as type_concept_id,
    false as is_negated
from measured
where value_number is not null

union all

select
    {{ surrogate_id(['record_id', "'2443'"]) }} as record_id,
    person_id,
    person_bucket,
    site,
    'condition' as event_kind,
    'UKB' as source_system,
    '2443' as source_code,
    assessed_date as start_date,
    null as value_number,
    null as unit_source_value,
    32865 as type_concept_id,
    false as is_negated
from {{ ref('stg_biobank_participants__participants') }} as participant
where lower(diabetes_answer) = 'yes'
