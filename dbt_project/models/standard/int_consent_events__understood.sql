{{ config(partition_by='person_bucket') }}

-- Consent machinery: every consent event of every source, what is wrong with it, and how it counts. Strict: what is not understood grants
-- nothing; where its scope is known it ends what was granted before, for nobody knows what the person wanted instead.
with scopes as (

    {% for scope in consent_scopes().split() -%}
    select '{{ scope }}' as scope_code{% if not loop.last %} union all {% endif %}
    {% endfor %}

),

delivered as (

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

-- each event in the row of its person and scope; one of all scopes stands in each of them. On one day grants come first
lined as (

    select
        event.person_id,
        event.record_id,
        event.decided_scope,
        scopes.scope_code,
        event.effective_date,
        event.only_site,
        event.is_grant,
        event.event_type = 'withdraw' and event.told_by = 'service' as is_withdrawal,
        lag(event.is_grant) over in_order as is_granted_before,
        count(case when not event.is_grant then 1 end) over (in_order rows between unbounded preceding and 1 preceding) as refusals_before,
        count(*) over that_day as events_that_day,
        count(case when event.is_grant then 1 end) over that_day as grants_that_day,
        event.terms,
        min(event.terms) over that_day <> max(event.terms) over that_day as are_terms_mixed
    from (select *, {{ consent_terms() }} as terms from counted) as event
    inner join scopes on event.decided_scope = scopes.scope_code or event.decided_scope = 'all'
    window
        in_order as (
            partition by event.person_id, scopes.scope_code
            order by event.effective_date, case when event.is_grant then 0 else 1 end, event.record_id
        ),
        that_day as (partition by event.person_id, scopes.scope_code, event.effective_date)

),

-- withdrawals of a consent service that end nothing: a wrong number or a second telling. A registry says no in every record; that is no mistake
idle as (

    select
        person_id,
        record_id,
        sum(refusals_before) > 0 as is_repeated
    from lined
    where is_withdrawal
    group by person_id, record_id
    having max(case when is_granted_before then 1 else 0 end) = 0

),

-- grants of a day on which the same scope is also refused, or granted in other words; what two sites hold are two things, and what one holds
-- beside what all hold is none
doubtful as (

    select * from lined where events_that_day > 1 and (grants_that_day < events_that_day or are_terms_mixed)

),

contradicted as (

    select distinct given.person_id, given.record_id, given.decided_scope
    from doubtful as given
    inner join doubtful as other
        on other.person_id = given.person_id
        and other.scope_code = given.scope_code
        and other.effective_date = given.effective_date
    where given.is_grant
        and other.record_id <> given.record_id
        and coalesce(other.only_site, given.only_site, '') = coalesce(given.only_site, other.only_site, '')
        and (not other.is_grant or (other.terms <> given.terms and coalesce(other.only_site, '') = coalesce(given.only_site, '')))

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
