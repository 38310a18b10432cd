{{ config(materialized='view') }}

-- Each number of a health check-up as a measurement under the name that NHIS gives it.
{% set items = {
    'HGHT': ['height_cm', 'cm'], 'WGHT': ['weight_kg', 'kg'], 'WSTC': ['waist_cm', 'cm'], 'BMI': ['bmi_kg_m2', 'kg/m2'],
    'BP_SYS': ['systolic_mmhg', 'mm[Hg]'], 'BP_DIA': ['diastolic_mmhg', 'mm[Hg]'], 'HGB': ['hemoglobin_g_dl', 'g/dL'],
    'FBS': ['fasting_glucose_mg_dl', 'mg/dL'], 'TOT_CHOL': ['total_cholesterol_mg_dl', 'mg/dL'],
    'TG': ['triglyceride_mg_dl', 'mg/dL'], 'HDL': ['hdl_mg_dl', 'mg/dL'], 'LDL': ['ldl_mg_dl', 'mg/dL'],
    'CRTN': ['creatinine_mg_dl', 'mg/dL'], 'SGOT': ['ast_u_l', 'U/L'], 'SGPT': ['alt_u_l', 'U/L'], 'GGT': ['ggt_u_l', 'U/L'],
    'GFR': ['egfr_ml_min', 'mL/min/{1.73_m2}']
} %}

with checkups as (

    select * from {{ person_ref('health_checkup') }} as checkup

)

{% for code, item in items.items() -%}
select
    {{ surrogate_id(['checkup_id', "'" ~ code ~ "'"]) }} as record_id,
    person_id,
    person_bucket,
    site,
    'measurement' as event_kind,
    'NHIS_CHECKUP' as source_system,
    '{{ code }}' as source_code,
    examined_date as start_date,
    {{ item[0] }} as value_number,
    '{{ item[1] }}' as unit_source_value
from checkups
where {{ item[0] }} is not null
{% if not loop.last %}union all{% endif %}
{% endfor %}
