{{ config(partition_by='person_bucket', packed=true) }}

-- Places of people, a bucket at a time, so that a delivery lists only what it touched. No finer than a province or state.
select distinct
    state_name,
    country_code,
    person_bucket
from {{ person_ref('int_persons__merged') }} as person
where location_id is null
    and (state_name is not null or country_code is not null)
