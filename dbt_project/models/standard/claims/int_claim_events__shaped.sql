{{ config(materialized='view') }}

-- Diagnoses and lines of claims as clinical events. A material is never looked up as a drug: the same digits can be both.
select
    claim_diagnosis_id as record_id,
    person_id,
    person_bucket,
    site,
    'condition' as event_kind,
    claim_id as visit_id,
    'KCD' as source_system,
    sick_code as source_code,
    started_date as start_date,
    case sick_rank when '1' then '주상병' when '2' then '부상병' end as status_code,
    sick_rank = '3' as is_negated,
    {{ claim_type() }} as type_concept_id,
    cast(null as double) as quantity,
    cast(null as double) as days_supply
from {{ ref('int_claim_diagnoses__completed') }}

union all

select
    claim_line_id as record_id,
    person_id,
    person_bucket,
    site,
    category as event_kind,
    claim_id as visit_id,
    case when category = 'device' then 'EDI_MATERIAL' else 'EDI' end as source_system,
    edi_code as source_code,
    started_date as start_date,
    null as status_code,
    false as is_negated,
    {{ claim_type() }} as type_concept_id,
    quantity,
    case when category = 'drug' then days_supply end as days_supply
from {{ person_ref('claim_line') }} as line
where category is not null
