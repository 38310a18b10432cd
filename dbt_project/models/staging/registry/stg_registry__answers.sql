-- A snapshot of an event replaces its answers as a set; transactions replace each answer by itself.
with answers as (

    select * from {{ consented_rows('redcap', 'answer', event_date='observed_date', sequence=true) }} as redcap
    union all
    select * from {{ consented_rows('cdisc_odm', 'answer', event_date='observed_date', sequence=true) }} as odm

)

select
    answers.record_id,
    answers.person_id,
    answers.person_bucket,
    answers.site,
    answers.event_id,
    events.event_code,
    events.instrument_code,
    events.instance_number,
    answers.observed_date,
    answers.form_code,
    answers.form_instance_number,
    answers.group_instance_number,
    answers.item_code,
    answers.option_code,
    answers.value_code,
    answers.value_number,
    answers.value_date,
    answers.value_at,
    answers.missing_reason
from answers
inner join {{ ref('stg_registry__events') }} as events
    on events.site = answers.site
    and events.event_id = answers.event_id
    and events.person_id = answers.person_id
where not events.is_snapshot or answers._sequence >= events.event_sequence
