-- Consent machinery: read before consent, because consent is made of it. A registry's form grants what the registry itself holds; what it refuses is
-- withdrawn everywhere; a refusal without a day lies after every grant.
with events as (

    select * from {{ unconsented_rows('redcap', 'consent_event') }} as redcap
    union all
    select * from {{ unconsented_rows('cdisc_odm', 'consent_event') }} as odm

)

select
    record_id,
    person_id,
    person_bucket,
    site,
    'registry' as told_by,
    event_type,
    scope_code,
    upper(form_code) as form_code,
    coalesce(effective_date, date '9999-12-31') as effective_date,
    valid_until_date,
    case when event_type = 'grant' then site end as only_site
from events
where event_type in ('grant', 'withdraw')
    and (event_type = 'withdraw' or effective_date is not null)
