-- Consent machinery: read before consent, because consent is made of it. Strict: what is not understood grants nothing and ends what was
-- granted before. A consent to treatment or an advance directive says nothing about research; a draft is not in force.
with known as (

    select
        *,
        {{ list_element('consent_scope_codings', 1) }} as consent_scope,
        {{ list_element('policy_codings', 1) }}.code as policy_code,
        {{ ordinals('purpose_codings', first=0) }} as purpose_number
    from {{ unconsented_rows('fhir', 'consent') }} as consent

),

scoped as (

    select
        *,
        {{ list_element('purpose_codings', 'purpose_number') }} as purpose,
        case when consent_scope.system = 'http://terminology.hl7.org/CodeSystem/consentscope' then consent_scope.code end as consent_scope_code,
        coalesce(provision_type, case when policy_code = 'OPTIN' then 'permit' end) = 'permit'
            and coalesce(policy_code, 'OPTIN') = 'OPTIN'
            and {{ list_element('policy_codings', 2) }} is null
            and {{ list_element('consent_scope_codings', 2) }} is null
            and not coalesce(has_restrictions, false)
            and coalesce(is_verified, true)
            and effective_date is not null as is_plain_permit
    from known
    where status in ('active', 'inactive', 'rejected')

),

mapped as (

    select
        *,
        {{ consent_scope_of('purpose.system', 'purpose.code') }} as scope_code,
        sum(case when purpose_number > 0 then 1 else 0 end) over (partition by site, record_id) as purpose_count,
        sum(case when purpose_number > 0 and {{ consent_scope_of('purpose.system', 'purpose.code') }} is null then 1 else 0 end)
            over (partition by site, record_id) as unknown_purpose_count
    from scoped
    where coalesce(consent_scope_code, '') not in ('treatment', 'adr')

),

judged as (

    select
        *,
        coalesce(
            status = 'active' and consent_scope_code = 'research' and is_plain_permit and purpose_count > 0 and unknown_purpose_count = 0,
            false
        ) as is_grant
    from mapped

)

select
    record_id,
    person_id,
    person_bucket,
    site,
    'fhir' as told_by,
    case when is_grant then 'grant' else 'withdraw' end as event_type,
    case when is_grant then scope_code else 'all' end as scope_code,
    -- a refusal without a day ends whatever was granted, on any day: its own lies after all of them
    coalesce(effective_date, date '9999-12-31') as effective_date,
    case when is_grant then valid_until_date end as valid_until_date,
    case when is_grant then covers_from_date end as covers_from_date,
    case when is_grant then site end as only_site
from judged
where is_grant = (purpose_number > 0)
    -- a refusal stands once, whatever its purposes
    and (is_grant or purpose_number = 0)
