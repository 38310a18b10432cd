{{ config(partition_by='person_bucket') }}

-- Sites that have named a person, of people whose clinical records may be read.
select distinct
    person_id,
    person_bucket,
    site
from {{ person_ref('stg_people__sightings') }} as sighting
