-- Consent events by month, and those that nobody understands.
with counted as (

    select
        site,
        month_date,
        event_type,
        finding_code,
        is_refused,
        scope_code,
        sum(event_count) as events,
        sum(person_count) as people
    from {{ ref('int_consent_events__counted') }}
    group by all

)

select
    site,
    month_date,
    event_type,
    scope_code,
    finding_code,
    is_refused,
    cast(case when people >= 5 then events end as bigint) as event_count,
    people < 5 as has_small_cell
from counted
