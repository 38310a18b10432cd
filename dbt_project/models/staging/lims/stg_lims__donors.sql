select
    record_id,
    person_id,
    person_bucket,
    site,
    birth_year,
    birth_month,
    birth_day,
    sex_code as gender_code,
    address_state as state_name,
    'KR' as country_code
from {{ consented_rows('lims', 'donor', scope='specimen') }} as donor
