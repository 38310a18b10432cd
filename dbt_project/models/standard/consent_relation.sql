{{ config(partition_by='person_bucket') }}

{% set scopes = ['clinical', 'genomic', 'specimen', 'claims', 'lifelog'] %}

-- A consent service speaks for all sites. A hospital's FHIR Consent grants only what that hospital holds (only_site), but withdraws everywhere.
with delivered as (

    {{ union_by_name(['stg_consent__events', 'stg_fhir__consents']) }}

),

events as (

    select
        *,
        case when event_type in ('withdraw', 'expire') then 1 else 0 end as strictness
    from delivered
    where effective_date <= {{ as_of() }}

),

scopes as (

    {% for scope in scopes -%}
    select '{{ scope }}' as scope_code{% if not loop.last %} union all {% endif %}
    {% endfor %}

),

-- a withdrawal of all scopes is one of each scope; nothing else may speak for all
scoped as (

    select events.*, scopes.scope_code as decided_scope
    from events
    inner join scopes on scopes.scope_code = events.scope_code
    union all
    select events.*, scopes.scope_code as decided_scope
    from events
    cross join scopes
    where events.scope_code = 'all' and events.strictness = 1

),

-- what a site holds is decided by its own grants together with all that counts everywhere
sided as (

    select scoped.*, '' as side from scoped where only_site is null
    union all
    select scoped.*, sides.only_site as side
    from scoped
    inner join (select distinct person_id, decided_scope, only_site from scoped where only_site is not null) as sides
        on sides.person_id = scoped.person_id
        and sides.decided_scope = scoped.decided_scope
        and coalesce(scoped.only_site, sides.only_site) = sides.only_site

),

-- on one day the strict reading wins: who granted and withdrew has withdrawn
decided as (

    select
        *,
        row_number() over (
            partition by person_id, decided_scope, side order by effective_date desc, strictness desc, record_id desc
        ) as recency
    from sided

)

select
    person_id,
    person_bucket,
    'consented' as legal_basis,
    decided_scope as scope_code,
    coalesce(covers_from_date, date '0001-01-01') as valid_from,
    coalesce(valid_until_date, date '9999-12-31') as valid_to,
    only_site
from decided
where recency = 1
    and strictness = 0
    and coalesce(valid_until_date >= {{ as_of() }}, true)
    -- what counts everywhere is told once
    and coalesce(only_site, '') = side

union all

select distinct
    sighting.person_id,
    sighting.person_bucket,
    'published' as legal_basis,
    'all' as scope_code,
    date '0001-01-01' as valid_from,
    date '9999-12-31' as valid_to,
    cast(null as varchar) as only_site
from {{ unconsented_rows('people', 'sighting') }} as sighting
inner join {{ ref('stg_reference__sites') }} as site on site.site = sighting.site
where site.legal_basis = 'published'
