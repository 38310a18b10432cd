{{ config(partition_by='person_bucket') }}

-- Who withdrew from what, and has not agreed again. Destruction cannot be undone, so the reading is as strict the other way round: only a
-- withdrawal that is understood and in force counts. Consent that merely ran out, or that an event we do not understand ended, is none; nor is a
-- no in a registry's form, which orders nothing to be destroyed.
with scopes as (

    {% for scope in consent_scopes().split() -%}
    select '{{ scope }}' as scope_code{% if not loop.last %} union all {% endif %}
    {% endfor %}

),

decided as (

    select
        event.person_id,
        event.person_bucket,
        scopes.scope_code,
        event.effective_date,
        event.event_type = 'withdraw' and event.finding_code is null and coalesce(event.told_by, '') <> 'registry' as is_withdrawal,
        max(case when event.is_grant then event.effective_date end)
            over (partition by event.person_id, scopes.scope_code) as last_granted_date
    from {{ person_ref('int_consent_events__understood') }} as event
    inner join scopes on event.decided_scope = scopes.scope_code or event.decided_scope = 'all'
    where event.effective_date <= {{ as_of() }}

)

select
    decided.person_id,
    decided.person_bucket,
    decided.scope_code,
    min(decided.effective_date) as withdrawn_date
from decided
left join {{ person_ref('consent_relation') }} as consent
    on consent.person_id = decided.person_id
    and consent.scope_code = decided.scope_code
    and consent.legal_basis = 'consented'
where decided.is_withdrawal
    and consent.person_id is null
    and decided.effective_date >= coalesce(decided.last_granted_date, date '0001-01-01')
group by decided.person_id, decided.person_bucket, decided.scope_code
