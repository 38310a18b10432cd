{{ config(partition_by='person_bucket') }}

-- Consent on the day of the build. A withdrawal that is known counts today, whatever later day it names: the strict reading.
select
    person_id,
    person_bucket,
    legal_basis,
    scope_code,
    valid_from,
    valid_to,
    only_site,
    permission_code,
    disease_code,
    modifier_codes
from {{ person_ref('consent_history') }} as spell
where in_force_from <= {{ as_of() }}
    and in_force_to >= {{ as_of() }}
    and withdrawn_date is null

union all

select distinct
    sighting.person_id,
    sighting.person_bucket,
    'published' as legal_basis,
    'all' as scope_code,
    date '0001-01-01' as valid_from,
    date '9999-12-31' as valid_to,
    cast(null as varchar) as only_site,
    'NRES' as permission_code,
    cast(null as varchar) as disease_code,
    cast(null as varchar) as modifier_codes
from {{ unconsented_rows('people', 'sighting') }} as sighting
inner join {{ ref('stg_reference__sites') }} as site on site.site = sighting.site
where site.legal_basis = 'published'
