-- A year of eligibility is read where consent covers its last day.
select
    record_id as eligibility_year_id,
    person_id,
    person_bucket,
    site,
    year,
    sex_code,
    age_group_code,
    region_code,
    insurance_type_code,
    income_decile,
    disability_grade_code,
    disability_type_code,
    death_year_month,
    death_cause_code
from {{ consented_rows('claims_nhis', 'qualification', event_date=date_from_parts('year', 12, 31), scope='claims') }} as qualification
