{{ config(severity='warn', group='omop') }}

-- Hospitals do deliver such dates, so they warn: OMOP keeps what was delivered, and the marts leave it out.
{% set dates = {
    'visit_occurrence': 'visit_start_date',
    'condition_occurrence': 'condition_start_date',
    'drug_exposure': 'drug_exposure_start_date',
    'procedure_occurrence': 'procedure_date',
    'device_exposure': 'device_exposure_start_date',
    'measurement': 'measurement_date',
    'observation': 'observation_date',
    'device_exposure': 'device_exposure_start_date',
    'specimen': 'specimen_date'
} %}

with spans as (

    {% for table, date in dates.items() -%}
    select '{{ table }}' as table_name, person_id, min({{ date }}) as first_date, max({{ date }}) as last_date
    from {{ person_ref(table) }} as {{ table }}
    group by person_id
    {% if not loop.last -%} union all {%- endif %}
    {% endfor %}
)

select 'a record before the year of birth' as rule_text, spans.table_name, spans.person_id
from spans
inner join {{ person_ref('person') }} as person on person.person_id = spans.person_id
where extract(year from spans.first_date) < person.year_of_birth

union all

select 'a record more than 60 days after death', spans.table_name, spans.person_id
from spans
inner join {{ person_ref('death') }} as death on death.person_id = spans.person_id
where spans.last_date > {{ add_days('death.death_date', 60) }}

union all

select 'a visit ends before it starts', 'visit_occurrence', person_id
from {{ person_ref('visit_occurrence') }} as visit
where visit_end_date < visit_start_date

union all

select 'an exposure ends before it starts', 'drug_exposure', person_id
from {{ person_ref('drug_exposure') }} as exposure
where drug_exposure_end_date < drug_exposure_start_date
