select
    record_id,
    person_id,
    person_bucket,
    site,
    birth_year,
    birth_month,
    sex_code as gender_code,
    death_date,
    death_date is not null as is_deceased
from {{ consented_rows('biobank_participants', 'participant') }} as participant
