-- An institution comes once a year; its newest year speaks.
select
    provider_id as organization_id,
    site,
    max_by(kind_code, year) as kind_code,
    max_by(region_code, year) as region_code
from {{ raw_rows('claims_nhis', 'provider') }} as provider
group by provider_id, site
