{{ config(partition_by='person_bucket') }}

with visits as (

    {{ union_by_name([
        'stg_fhir__encounters', 'stg_ccda__encounters', 'stg_synthea_csv__encounters', 'stg_emr_csv__visits', 'stg_omop__visit_occurrences',
        'int_claim_visits__shaped',
        'stg_hl7_v2__visits'
    ]) }}

)

select
    visits.visit_id,
    visits.person_id,
    visits.person_bucket,
    visits.site,
    coalesce(visits.visit_concept_id, class.concept_id, 0) as visit_concept_id,
    visits.class_code as source_value,
    coalesce(visits.source_concept_id, 0) as source_concept_id,
    coalesce(visits.type_concept_id, {{ ehr_type() }}) as type_concept_id,
    visits.start_date,
    visits.start_at,
    coalesce(visits.end_date, visits.start_date) as end_date,
    visits.end_at,
    provider.provider_id,
    coalesce(care_site.care_site_id, hospital.care_site_id) as care_site_id,
    visits.admitted_from_concept_id,
    visits.discharged_to_concept_id,
    {{ set_aside_reason('visits.is_negated', 'visits.start_date', 'person.person_id') }} as set_aside_reason
from visits
left join {{ ref('value_concept') }} as class
    on class.field = 'visit' and class.source_code = lower(visits.class_code)
left join {{ ref('int_providers__resolved') }} as provider
    on provider.site = visits.site and provider.reference_id = visits.provider_id
left join {{ ref('int_care_sites__resolved') }} as care_site
    on care_site.site = visits.site and care_site.reference_id = visits.care_site_id
left join {{ ref('int_care_sites__resolved') }} as hospital
    on hospital.site = visits.site and hospital.is_hospital
left join {{ person_ref('int_persons__merged') }} as person
    on person.person_id = visits.person_id and person.birth_year is not null
