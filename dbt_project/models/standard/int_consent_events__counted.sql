{{ config(partition_by='person_bucket') }}

-- Consent events, a bucket at a time, so that a delivery recounts only what it touched. Nobody is in two buckets: people may be summed.
select
    person_bucket,
    site,
    cast({{ date_from_parts('extract(year from effective_date)', 'extract(month from effective_date)', '1') }} as date) as month_date,
    -- what a sender wrote in a field of codes may be anything: only codes that we know are shown
    case when event_type in ('grant', 'change', 'withdraw', 'expire', 'reconsent') then event_type else 'other' end as event_type,
    coalesce(finding_code, notice_code, 'understood') as finding_code,
    finding_code is not null as is_refused,
    case when scope_code = 'all' or scope_code in {{ consent_scope_list() }} then scope_code else 'other' end as scope_code,
    count(*) as event_count,
    count(distinct person_id) as person_count
from {{ person_ref('int_consent_events__understood') }} as event
group by all
