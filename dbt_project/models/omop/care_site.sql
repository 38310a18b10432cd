with organizations as (

    select organization_id as care_site_id, site, organization_name as care_site_name, state_name, country_code
    from {{ ref('stg_fhir__organizations') }}
    union all
    select organization_id, site, organization_name, state_name, null
    from {{ ref('stg_synthea_csv__organizations') }}
    union all
    select organization_id, site, null, null, 'KR'
    from {{ ref('stg_claims_nhis__providers') }}
    union all
    select organization_id, site, null, null, 'KR'
    from {{ ref('stg_claims_hira__providers') }}

)

select
    care_site_id,
    care_site_name,
    cast(0 as bigint) as place_of_service_concept_id,
    {{ place_id('state_name', 'country_code') }} as location_id,
    cast(null as varchar) as care_site_source_value,
    cast(null as varchar) as place_of_service_source_value,
    site
from organizations

union all

select
    care_site_id,
    care_site_name,
    coalesce(place_of_service_concept_id, 0) as place_of_service_concept_id,
    location_id,
    cast(null as varchar) as care_site_source_value,
    place_of_service_source_value,
    site
from {{ ref('stg_omop__care_sites') }}

union all

select
    hospital.care_site_id,
    site.site_name as care_site_name,
    cast(0 as bigint) as place_of_service_concept_id,
    cast(null as bigint) as location_id,
    cast(null as varchar) as care_site_source_value,
    cast(null as varchar) as place_of_service_source_value,
    hospital.site
from {{ ref('int_care_sites__resolved') }} as hospital
inner join {{ ref('stg_reference__sites') }} as site on site.site = hospital.site
where hospital.is_hospital
