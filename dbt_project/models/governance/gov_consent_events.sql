-- Consent events by month, and those that nobody understands. Rebuilt whole: an event is a short row, and there are a few a person.
with counted as (

    select
        site,
        cast({{ date_from_parts('extract(year from effective_date)', 'extract(month from effective_date)', '1') }} as date) as month_date,
        -- what a sender wrote in a field of codes may be anything: only codes that we know are shown
        case when event_type in ('grant', 'change', 'withdraw', 'expire', 'reconsent') then event_type else 'other' end as event_type,
        coalesce(finding_code, 'understood') as finding_code,
        case when scope_code = 'all' or scope_code in {{ consent_scope_list() }} then scope_code else 'other' end as scope_code,
        count(*) as events,
        count(distinct person_id) as people
    from {{ ref('int_consent_events__understood') }}
    group by all

)

select
    site,
    month_date,
    event_type,
    scope_code,
    finding_code,
    cast(case when people >= 5 then events end as bigint) as event_count,
    people < 5 as has_small_cell
from counted
