{{ config(partition_by='person_bucket') }}

-- Claims of both dialects in one shape. A claim after death stays, and says so.
with statements as (

    {{ union_by_name(['stg_claims_nhis__statements', 'stg_claims_hira__statements']) }}

),

formed as (

    select *, {{ claim_form('form_code') }} as form
    from statements

),

placed as (

    select *, {{ claim_setting('form') }} as care_setting
    from formed

)

select
    claim.claim_id,
    claim.person_id,
    claim.site,
    claim.dialect,
    {{ surrogate_id([
        'claim.person_id', 'claim.started_date', 'claim.form', 'claim.main_sick_code', 'claim.adjudicated_total_won'
    ]) }} as same_claim_id,
    claim.provider_id,
    claim.form_code,
    claim.care_setting,
    coalesce(claim.admission_route_code in ('11', '21', '31'), false) as is_emergency,
    claim.department_code,
    claim.main_sick_code,
    claim.sub_sick_code,
    claim.started_date,
    case
        when claim.care_setting = 'inpatient'
            then coalesce(claim.ended_date, {{ add_days('claim.started_date', 'coalesce(' ~ plausible_days('claim.visit_days') ~ ', 1) - 1') }})
        else claim.started_date
    end as ended_date,
    claim.first_admission_date,
    claim.visit_days,
    claim.care_days,
    claim.prescription_days,
    claim.claimed_total_won,
    claim.claimed_patient_won,
    claim.claimed_insurer_won,
    claim.adjudicated_total_won,
    claim.adjudicated_patient_won,
    claim.adjudicated_insurer_won,
    claim.drg_code,
    claim.sampling_weight,
    coalesce(claim.started_date > person.death_date, false) as is_after_death,
    claim.person_bucket
from placed as claim
left join {{ person_ref('int_persons__merged') }} as person on person.person_id = claim.person_id
