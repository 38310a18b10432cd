{{ config(materialized='view') }}

-- Each hand-over of a sample with the one before it; before the first stands who held it when it was registered. Between two of one
-- instant the order of their numbers decides, so that it is always the same.
with ordered as (

    select
        event.sample_id,
        event.event_id,
        event.person_id,
        event.person_bucket,
        event.site,
        event.occurred_at,
        event.from_holder_code,
        event.to_holder_code,
        coalesce(lag(event.to_holder_code) over story, sample.custodian_code) as holder_before,
        lag(event.from_holder_code) over story as giver_before,
        lag(event.occurred_at) over story as occurred_before,
        lead(event.event_id) over story is null as is_last
    from {{ ref('int_sample_events__unioned') }} as event
    left join {{ person_ref('int_samples__resolved') }} as sample on sample.sample_id = event.sample_id
    where event.event_kind = 'custody' and event.sample_id is not null
    window story as (partition by event.sample_id order by event.occurred_at, event.event_id)

),

compared as (

    select
        *,
        coalesce(from_holder_code <> holder_before, false) as is_broken,
        coalesce(occurred_at = occurred_before, false) or coalesce(from_holder_code = giver_before, false) as is_second
    from ordered

)

select
    sample_id,
    event_id,
    person_id,
    person_bucket,
    site,
    occurred_at,
    from_holder_code,
    to_holder_code,
    is_last,
    is_broken and is_second as is_overlap,
    is_broken and not is_second as is_gap
from compared
