{{ config(partition_by='person_bucket') }}

-- Records that cannot stand in an OMOP table, with the reason. Nothing else leaves the flow between consent and OMOP.
select
    visit_id as event_id,
    person_id,
    site,
    'visit' as event_kind,
    source_value,
    set_aside_reason,
    person_bucket
from {{ person_ref('int_visits__unioned') }} as visit
where set_aside_reason is not null

union all

select
    event_id,
    person_id,
    site,
    event_kind,
    source_value,
    set_aside_reason,
    person_bucket
from {{ person_ref('int_events__coded') }} as event
where set_aside_reason is not null

union all

select
    person_id as event_id,
    person_id,
    site,
    case when birth_year is null then 'person' else 'death' end as event_kind,
    null as source_value,
    'no_date' as set_aside_reason,
    person_bucket
from {{ person_ref('int_persons__merged') }} as person
where birth_year is null or (is_deceased and death_date is null and not has_death_before_birth)

union all

select
    person_id as event_id,
    person_id,
    site,
    'death' as event_kind,
    null as source_value,
    'before_birth' as set_aside_reason,
    person_bucket
from {{ person_ref('int_persons__merged') }} as person
where birth_year is not null and has_death_before_birth
