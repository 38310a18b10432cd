-- Places no finer than a province or state: those that hospitals deliver, those of their organizations, those of people.
with named as (

    select state_name, country_code from {{ ref('stg_fhir__organizations') }}
    union
    select state_name, null from {{ ref('stg_synthea_csv__organizations') }}
    union
    select null, 'KR' from {{ ref('stg_claims_nhis__providers') }}
    union
    select null, 'KR' from {{ ref('stg_claims_hira__providers') }}
    union
    select state_name, country_code from {{ ref('int_person_places__listed') }}

),

places as (

    select {{ place_id('state_name', 'country_code') }} as location_id, state_name, country_code
    from named
    where state_name is not null or country_code is not null
    union all
    select location_id, state_name, country_code
    from {{ ref('stg_omop__locations') }}

)

select
    location_id,
    cast(null as varchar) as address_1,
    cast(null as varchar) as address_2,
    cast(null as varchar) as city,
    state_name as state,
    cast(null as varchar) as zip,
    cast(null as varchar) as county,
    cast(null as varchar) as location_source_value,
    cast(null as bigint) as country_concept_id,
    country_code as country_source_value,
    cast(null as double) as latitude,
    cast(null as double) as longitude
from places
