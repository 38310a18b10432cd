{{ config(materialized='view') }}

-- A claim is a visit: HIRA and NHIS bill one visit or one stay on one statement.
select
    claim_id as visit_id,
    person_id,
    person_bucket,
    site,
    form_code as class_code,
    case
        when care_setting = 'inpatient' and is_emergency then 262
        when care_setting = 'inpatient' then 9201
        when care_setting = 'pharmacy' then 581458
        when care_setting = 'outpatient' and is_emergency then 9203
        when care_setting = 'outpatient' then 9202
    end as visit_concept_id,
    {{ claim_type() }} as type_concept_id,
    started_date as start_date,
    ended_date as end_date,
    provider_id as care_site_id
from {{ person_ref('claim') }} as claim
