{{ config(materialized='view') }}

-- Every identifier under which a site may name a care site; each hospital itself is one, for visits that name none.
with organizations as (

    {{ union_by_name([
        'stg_fhir__organizations', 'stg_synthea_csv__organizations', 'stg_claims_nhis__providers', 'stg_claims_hira__providers'
    ]) }}

),

named as (

    select site, organization_id as reference_id, organization_id as care_site_id from organizations
    union all
    select
        site,
        {{ list_element('alias_ids', 'ordinal') }} as reference_id,
        organization_id as care_site_id
    from (select *, {{ ordinals('alias_ids') }} as ordinal from organizations) as aliased
    union all
    select site, care_site_id as reference_id, care_site_id from {{ ref('stg_omop__care_sites') }}

)

select
    site,
    reference_id,
    min(care_site_id) as care_site_id,
    false as is_hospital
from named
group by site, reference_id

union all

select
    site,
    {{ surrogate_id(["'hospital'", 'site']) }} as reference_id,
    {{ surrogate_id(["'hospital'", 'site']) }} as care_site_id,
    true as is_hospital
from {{ ref('stg_reference__sites') }}
where site_kind = 'hospital'
