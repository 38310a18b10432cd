with participants as (

    select * from {{ consented_rows('redcap', 'participant') }} as redcap
    union all
    select * from {{ consented_rows('cdisc_odm', 'participant') }} as odm

)

select
    record_id,
    person_id,
    person_bucket,
    site,
    birth_year,
    birth_month,
    birth_day,
    gender_code
from participants
