{{ config(partition_by='person_bucket') }}

-- Consent machinery: every consent event of every source, what is wrong with it, and how it counts. Strict: what is not understood grants
-- nothing; where its scope is known it ends what was granted before, for nobody knows what the person wanted instead.
with delivered as (

    {{ union_by_name(['stg_consent__events', 'stg_fhir__consents', 'stg_registry__consents']) }}

),

-- a site's own names of forms stand in its file, under [codes.consent_form]
listed as (

    select site, upper(source_code) as own_code, max(upper(target_code)) as form_code
    from {{ ref('stg_reference__code_maps') }}
    where source_system = 'consent_form'
    group by site, upper(source_code)

),

spoken as (

    select
        delivered.*,
        -- a registry's form is declared in its site file, with what each item of it means
        coalesce(delivered.form_code is not null and form.form_code is null and delivered.told_by <> 'registry', false) as is_form_unknown,
        -- what an event does not say, its form stands for; no form permits more than health research unless it says so
        coalesce(delivered.stated_permission_code, form.permission_code, 'HMB') as spoken_permission_code,
        coalesce(delivered.stated_modifier_codes, form.modifier_codes) as modifier_codes,
        max(case when delivered.signer_basis_code = 'minor' and coalesce(delivered.signer_code, 'self') <> 'self' then delivered.valid_until_date end)
            over (partition by delivered.person_id) as minor_until_date
    from delivered
    left join listed on listed.site = delivered.site and listed.own_code = delivered.form_code
    left join {{ ref('seed_consent_form') }} as form on form.form_code = coalesce(listed.form_code, delivered.form_code)

),

-- nobody knows what a form says that we do not know: it permits health research and nothing wider, whatever the event says
limited as (

    select
        *,
        case
            when is_form_unknown and spoken_permission_code in ('NRES', 'GRU') then 'HMB'
            else spoken_permission_code
        end as permission_code
    from spoken

),

judged as (

    select
        *,
        {{ consent_finding() }} as finding_code
    from limited

),

counted as (

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

),

refusals as (

    select person_id, record_id, decided_scope, effective_date
    from counted
    where not is_grant and decided_scope is not null

),

-- withdrawals of a consent service that end nothing: a wrong number or a second telling. A registry says no in every record; that is no mistake
idle as (

    select
        event.person_id,
        event.record_id,
        max(case when refusal.record_id is not null then 1 else 0 end) = 1 as is_repeated
    from counted as event
    left join refusals as refusal
        on refusal.person_id = event.person_id
        and (refusal.decided_scope in (event.decided_scope, 'all') or event.decided_scope = 'all')
        and (refusal.effective_date < event.effective_date or (refusal.effective_date = event.effective_date and refusal.record_id < event.record_id))
    where event.event_type = 'withdraw' and event.told_by = 'service'
        and not exists (
            select 1
            from counted as given
            where given.person_id = event.person_id
                and given.is_grant
                and (given.decided_scope = event.decided_scope or event.decided_scope = 'all')
                and given.effective_date <= event.effective_date
                and not exists (
                    select 1
                    from refusals as earlier
                    where earlier.person_id = given.person_id
                        and earlier.decided_scope in (given.decided_scope, 'all')
                        and earlier.effective_date >= given.effective_date
                        and (
                            earlier.effective_date < event.effective_date
                            or (earlier.effective_date = event.effective_date and earlier.record_id < event.record_id)
                        )
                )
        )
    group by event.person_id, event.record_id

),

-- grants of a day on which the same scope is also refused, or granted in other words
contradicted as (

    select distinct given.person_id, given.record_id, given.decided_scope
    from counted as given
    inner join counted as other
        on other.person_id = given.person_id
        and other.effective_date = given.effective_date
        and other.record_id <> given.record_id
        and other.decided_scope in (given.decided_scope, 'all')
        and coalesce(other.only_site, given.only_site, '') = coalesce(given.only_site, other.only_site, '')
    where given.is_grant and (not other.is_grant or {{ consent_terms('other') }} <> {{ consent_terms('given') }})

)

select
    {% for column in [
        'record_id', 'person_id', 'person_bucket', 'site', 'told_by', 'event_type', 'scope_code', 'decided_scope', 'is_grant', 'effective_date',
        'last_day', 'covers_from_date', 'only_site', 'permission_code', 'disease_code', 'modifier_codes', 'form_code', 'form_version',
        'signer_code', 'finding_code',
    ] -%}
    counted.{{ column }},
    {% endfor -%}
    -- what the sender should look at, though the event counts as it stands
    case
        when counted.finding_code is not null then null
        when counted.is_grant and counted.is_form_unknown then 'unknown_form'
        when contradicted.record_id is not null then 'contradicted_that_day'
        when idle.is_repeated then 'withdrawn_before'
        when idle.record_id is not null then 'withdraws_nothing'
    end as notice_code
from counted
left join idle on idle.person_id = counted.person_id and idle.record_id = counted.record_id
left join contradicted
    on contradicted.person_id = counted.person_id
    and contradicted.record_id = counted.record_id
    and contradicted.decided_scope = counted.decided_scope
