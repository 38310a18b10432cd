{{ config(partition_by='person_bucket') }}

-- Consent on any day: spells of a grant between the events that begin and end it.
-- A consent service speaks for all sites. A hospital's FHIR Consent grants only what that hospital holds (only_site), but withdraws everywhere.
with scopes as (

    {% for scope in consent_scopes().split() -%}
    select '{{ scope }}' as scope_code{% if not loop.last %} union all {% endif %}
    {% endfor %}

),

-- a withdrawal of all scopes is one of each scope
scoped as (

    select event.*, scopes.scope_code as spell_scope
    from {{ person_ref('int_consent_events__understood') }} as event
    inner join scopes on event.decided_scope = scopes.scope_code or event.decided_scope = 'all'

),

-- what a site holds is decided by its own grants together with all that counts everywhere
sided as (

    select scoped.*, '' as side from scoped where only_site is null
    union all
    select scoped.*, sides.only_site as side
    from scoped
    inner join (select distinct person_id, spell_scope, only_site from scoped where only_site is not null) as sides
        on sides.person_id = scoped.person_id
        and sides.spell_scope = scoped.spell_scope
        and coalesce(scoped.only_site, sides.only_site) = sides.only_site

),

-- on one day the strict reading wins: who granted and withdrew has withdrawn, and of two grants the narrower counts
ranked as (

    select
        *,
        row_number() over (
            partition by person_id, spell_scope, side, effective_date
            order by case when is_grant then 1 else 0 end, case when event_type = 'withdraw' then 0 else 1 end, {{ strict_grant_first() }}
        ) as recency
    from sided

),

decided as (

    select
        *,
        lead(effective_date) over (partition by person_id, spell_scope, side order by effective_date) as next_date,
        min(case when event_type = 'withdraw' then effective_date end) over (
            partition by person_id, spell_scope, side order by effective_date rows between 1 following and unbounded following
        ) as withdrawn_date
    from ranked
    where recency = 1

)

select
    person_id,
    person_bucket,
    'consented' as legal_basis,
    spell_scope as scope_code,
    only_site,
    effective_date as in_force_from,
    least(coalesce({{ add_days('next_date', -1) }}, date '9999-12-31'), coalesce(last_day, date '9999-12-31')) as in_force_to,
    withdrawn_date,
    coalesce(covers_from_date, date '0001-01-01') as valid_from,
    coalesce(last_day, date '9999-12-31') as valid_to,
    permission_code,
    disease_code,
    modifier_codes,
    form_code,
    form_version,
    coalesce(signer_code, 'self') as signer_code
from decided
where is_grant
    and coalesce(last_day, date '9999-12-31') >= effective_date
    -- what counts everywhere is told once
    and coalesce(only_site, '') = side
