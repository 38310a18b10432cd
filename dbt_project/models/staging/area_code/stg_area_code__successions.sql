select
    code_system,
    area_code,
    successor_code,
    changed_date,
    site
from {{ raw_rows('area_code', 'succession') }} as succession
