-- A visit is the sum of what messages said about it, in the order they were sent: the last word on each attribute counts, a cancelled
-- discharge (A13) takes back the ends stated before it.
{% set stated_at = 'coalesce(started_at, ended_at, recorded_at)' %}

with statements as (

    select
        *,
        row_number() over (partition by site, visit_id, person_id order by recorded_at nulls first, record_id) as ordinal
    from {{ consented_rows('hl7_v2', 'visit', event_date=local_date(stated_at)) }} as visit

),

reopened as (

    select
        *,
        max(case when trigger_code = 'A13' then ordinal else 0 end) over (partition by site, visit_id, person_id) as reopened_at
    from statements

),

folded as (

    select
        visit_id,
        person_id,
        person_bucket,
        site,
        max_by(class_code, ordinal) filter (where class_code is not null) as class_code,
        max_by(started_at, ordinal) filter (where started_at is not null) as started_at,
        max_by(ended_at, ordinal) filter (where ended_at is not null and ordinal > reopened_at) as ended_at,
        max_by(state_code, ordinal) filter (where state_code is not null) as state_code
    from reopened
    group by visit_id, person_id, person_bucket, site

)

select
    visit_id,
    person_id,
    person_bucket,
    site,
    class_code,
    {{ local_date('started_at') }} as start_date,
    started_at as start_at,
    {{ local_date('ended_at') }} as end_date,
    ended_at as end_at,
    coalesce(state_code in ('planned', 'cancelled'), false) as is_negated
from folded
