-- Events that stand: not those of participants who were removed from the study later.
with events as (

    select * from {{ consented_rows('redcap', 'event', sequence=true) }} as redcap
    union all
    select * from {{ consented_rows('cdisc_odm', 'event', sequence=true) }} as odm

),

removed as (

    select
        site,
        person_id,
        max(_sequence) as removed_sequence
    from events
    where is_participant_removed
    group by site, person_id

)

select
    events.record_id as event_id,
    events.person_id,
    events.person_bucket,
    events.site,
    events.event_code,
    events.instrument_code,
    events.instance_number,
    events.event_date,
    events.is_snapshot,
    events._sequence as event_sequence
from events
left join removed on removed.site = events.site and removed.person_id = events.person_id
where not events.is_participant_removed
    and coalesce(removed.removed_sequence < events._sequence, true)
