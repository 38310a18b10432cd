-- The day of a check-up is not told: the first of its month, and of January where only the year is known.
{% set examined = first_of_month('coalesce(exam_year_month, ' ~ plausible_year('year') ~ ' * 100 + 1)') %}

select
    record_id as checkup_id,
    person_id,
    person_bucket,
    site,
    year,
    exam_year_month,
    {{ examined }} as examined_date,
    height_cm,
    weight_kg,
    waist_cm,
    bmi_kg_m2,
    systolic_mmhg,
    diastolic_mmhg,
    urine_protein_code,
    hemoglobin_g_dl,
    fasting_glucose_mg_dl,
    total_cholesterol_mg_dl,
    triglyceride_mg_dl,
    hdl_mg_dl,
    ldl_mg_dl,
    creatinine_mg_dl,
    ast_u_l,
    alt_u_l,
    ggt_u_l,
    egfr_ml_min,
    smoking_code,
    drinking_code
from {{ consented_rows('claims_nhis', 'checkup', event_date=examined, scope='claims') }} as checkup
