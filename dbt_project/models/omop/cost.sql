{{ config(partition_by='person_bucket') }}

-- Money of whole claims only: lines of treatment add up to less than their claim, so both together would count it twice.
select
    {{ surrogate_id(["'cost'", 'claim.claim_id']) }} as cost_id,
    claim.claim_id as cost_event_id,
    'Visit' as cost_domain_id,
    cast({{ claim_type() }} as bigint) as cost_type_concept_id,
    cast({{ korean_won() }} as bigint) as currency_concept_id,
    cast(claim.claimed_total_won as double) as total_charge,
    cast(null as double) as total_cost,
    cast(claim.adjudicated_total_won as double) as total_paid,
    cast(claim.adjudicated_insurer_won as double) as paid_by_payer,
    cast(claim.adjudicated_patient_won as double) as paid_by_patient,
    cast(null as double) as paid_patient_copay,
    cast(null as double) as paid_patient_coinsurance,
    cast(null as double) as paid_patient_deductible,
    cast(null as double) as paid_by_primary,
    cast(null as double) as paid_ingredient_cost,
    cast(null as double) as paid_dispensing_fee,
    period.payer_plan_period_id,
    cast(null as double) as amount_allowed,
    cast(0 as bigint) as revenue_code_concept_id,
    cast(null as varchar) as revenue_code_source_value,
    cast(0 as bigint) as drg_concept_id,
    claim.drg_code as drg_source_value,
    claim.site,
    claim.person_id,
    claim.person_bucket
from {{ person_ref('claim') }} as claim
inner join {{ person_ref('visit_occurrence') }} as visit
    on visit.visit_occurrence_id = claim.claim_id and visit.person_id = claim.person_id
left join {{ person_ref('payer_plan_period') }} as period
    on period.person_id = claim.person_id
    and period.site = claim.site
    and claim.started_date between period.payer_plan_period_start_date and period.payer_plan_period_end_date
