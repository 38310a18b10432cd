select
    provider_id as organization_id,
    site,
    kind_code,
    region_code
from {{ raw_rows('claims_hira', 'provider') }} as provider
