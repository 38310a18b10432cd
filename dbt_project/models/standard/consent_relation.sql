{{ config(partition_by='person_bucket') }}

{% set scopes = ['clinical', 'genomic', 'specimen', 'claims', 'lifelog', 'imaging'] %}

with events as (

    select
        *,
        case when event_type in ('withdraw', 'expire') then 1 else 0 end as strictness
    from {{ ref('stg_consent__events') }}
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

-- on one day the strict reading wins: who granted and withdrew has withdrawn
decided as (

    select
        *,
        row_number() over (
            partition by person_id, decided_scope order by effective_date desc, strictness desc, record_id desc
        ) as recency
    from scoped

)

select
    person_id,
    person_bucket,
    'consented' as legal_basis,
    decided_scope as scope_code,
    coalesce(covers_from_date, date '0001-01-01') as valid_from,
    coalesce(valid_until_date, date '9999-12-31') as valid_to
from decided
where recency = 1 and strictness = 0 and coalesce(valid_until_date >= {{ as_of() }}, true)

union all

select distinct
    sighting.person_id,
    sighting.person_bucket,
    'published' as legal_basis,
    'all' as scope_code,
    date '0001-01-01' as valid_from,
    date '9999-12-31' as valid_to
from {{ unconsented_rows('people', 'sighting') }} as sighting
inner join {{ ref('stg_reference__sites') }} as site on site.site = sighting.site
where site.legal_basis = 'published'
