select
    record_id,
    person_id,
    person_bucket,
    site,
    birth_year,
    birth_month,
    birth_day,
    gender_code,
    race_code,
    ethnicity_code,
    address_state as state_name,
    address_country as country_code,
    {{ local_date('deceased_at') }} as death_date,
    deceased_at as death_at,
    coalesce(is_deceased, deceased_at is not null) as is_deceased
from {{ consented_rows('ccda', 'patient') }} as patient
