-- A year of eligibility is read where consent covers its last day. Of the place the province alone is told on, as of hospitals' patients.
select
    record_id as eligibility_year_id,
    person_id,
    person_bucket,
    site,
    year,
    sex_code,
    age_group_code,
    substr(region_code, 1, 2) as province_code,
    insurance_type_code,
    income_decile,
    disability_grade_code,
    disability_type_code,
    death_year_month,
    death_cause_code
from {{ consented_rows('claims_nhis', 'qualification', event_date=date_from_parts(plausible_year('year'), 12, 31), scope='claims') }} as qualification
