select
    'legal' as code_system,
    area_code,
    province_name,
    district_name,
    town_name,
    village_name,
    created_date,
    abolished_date,
    site
from {{ raw_rows('area_code', 'legal_area') }} as area

union all

select
    'administrative' as code_system,
    area_code,
    province_name,
    district_name,
    town_name,
    null as village_name,
    created_date,
    abolished_date,
    site
from {{ raw_rows('area_code', 'administrative_area') }} as area
