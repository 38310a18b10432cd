{{ config(partition_by='person_bucket') }}

-- Who withdrew from what, and has not agreed again. Consent that merely ran out is no withdrawal; nor is a no in a registry's form, which orders
-- nothing to be destroyed.
{% set scopes = ['clinical', 'genomic', 'specimen', 'claims', 'lifelog', 'imaging'] %}

with events as (

    {{ union_by_name(['stg_consent__events', 'stg_fhir__consents']) }}

),

scopes as (

    {% for scope in scopes -%}
    select '{{ scope }}' as scope_code{% if not loop.last %} union all {% endif %}
    {% endfor %}

),

decided as (

    select
        events.person_id,
        events.person_bucket,
        scopes.scope_code,
        events.effective_date,
        events.event_type = 'withdraw' as is_withdrawal,
        max(case when events.event_type in ('grant', 'change', 'reconsent') then events.effective_date end)
            over (partition by events.person_id, scopes.scope_code) as last_granted_date
    from events
    inner join scopes
        on scopes.scope_code = events.scope_code
        or (events.scope_code = 'all' and events.event_type = 'withdraw')
    where events.effective_date <= {{ as_of() }}

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
