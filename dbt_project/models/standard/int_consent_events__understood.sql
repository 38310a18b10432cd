{{ config(materialized='view') }}

-- Consent machinery: every consent event of every source, what is wrong with it, and how it counts. Strict: what is not understood grants
-- nothing; where its scope is known it ends what was granted before, for nobody knows what the person wanted instead.
with delivered as (

    {{ union_by_name(['stg_consent__events', 'stg_fhir__consents', 'stg_registry__consents']) }}

),

spoken as (

    select
        delivered.*,
        -- what an event does not say, its form stands for; no form permits more than health research unless it says so
        coalesce(delivered.stated_permission_code, form.permission_code, 'HMB') as permission_code,
        coalesce(delivered.stated_modifier_codes, form.modifier_codes) as modifier_codes
    from delivered
    left join {{ ref('seed_consent_form') }} as form on form.form_code = delivered.form_code

),

judged as (

    select
        *,
        {{ consent_finding() }} as finding_code
    from spoken

)

select
    *,
    event_type in ('grant', 'change', 'reconsent') and finding_code is null as is_grant,
    -- a grant of something we do not know adds nothing and takes nothing; a withdrawal of something we do not know takes everything
    case
        when finding_code = 'unknown_scope' and event_type = 'withdraw' then 'all'
        when finding_code = 'unknown_event_type' and scope_code not in {{ consent_scope_list() }} then 'all'
        when finding_code in ('unknown_scope', 'grant_of_all_scopes') then null
        else scope_code
    end as decided_scope,
    -- no term is longer than a thousand years: a date beyond the calendar would end the build
    case
        when retention_years is null then valid_until_date
        else least(valid_until_date, {{ add_years('effective_date', 'least(greatest(retention_years, 0), 1000)') }})
    end as last_day
from judged
