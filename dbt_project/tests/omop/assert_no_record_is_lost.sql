{{ config(group='omop') }}

-- Every record that consent lets through stands in exactly one OMOP table for each concept it maps to, or is set aside with a reason.
with counted as (

    select 'visit' as kind, count(*) as n from {{ person_ref('int_visits__unioned') }} as visit
    union all
    select 'visit', -count(*) from {{ person_ref('visit_occurrence') }} as visit
    union all
    select 'visit', -count(*) from {{ person_ref('set_aside_events') }} as visit where event_kind = 'visit'
    union all
    select 'event', count(*) from {{ person_ref('int_events__coded') }} as event
    {% for table in [
        'condition_occurrence', 'drug_exposure', 'procedure_occurrence', 'measurement', 'observation', 'device_exposure', 'specimen'
    ] -%}
    union all
    select 'event', -count(*) from {{ person_ref(table) }} as {{ table }}
    {% endfor -%}
    union all
    select 'event', -count(*)
    from {{ person_ref('set_aside_events') }} as event
    where event_kind not in ('visit', 'person', 'death')

)

select kind, sum(n) as difference
from counted
group by kind
having sum(n) <> 0
