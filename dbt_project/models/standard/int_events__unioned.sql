{{ config(materialized='view') }}

-- Every source's clinical events in one shape; what a source does not tell is null. Tabular sources name one system and
-- code; FHIR lists codings, of which the first three count.
with events as (

    {{ union_by_name([
        'stg_fhir__conditions',
        'stg_fhir__medication_requests',
        'stg_fhir__medication_administrations',
        'stg_fhir__medication_dispenses',
        'stg_fhir__medication_statements',
        'stg_fhir__specimens',
        'stg_fhir__devices',
        'stg_fhir__procedures',
        'stg_fhir__observations',
        'stg_fhir__immunizations',
        'stg_fhir__allergy_intolerances',
        'stg_synthea_csv__conditions',
        'stg_synthea_csv__medications',
        'stg_synthea_csv__procedures',
        'stg_synthea_csv__observations',
        'stg_synthea_csv__immunizations',
        'stg_synthea_csv__allergies',
        'stg_ccda__problems',
        'stg_ccda__medications',
        'stg_ccda__procedures',
        'stg_ccda__observations',
        'stg_ccda__immunizations',
        'stg_ccda__allergies',
        'stg_emr_csv__diagnoses',
        'stg_emr_csv__prescriptions',
        'stg_emr_csv__lab_results',
        'stg_hl7_v2__diagnoses',
        'stg_hl7_v2__procedures',
        'stg_hl7_v2__observation_results',
        'stg_hl7_v2__vaccinations',
        'stg_hl7_v2__allergies',
        'stg_hl7_v2__documents',
        'stg_open_mhealth__measurements',
        'stg_omop__condition_occurrences',
        'stg_omop__drug_exposures',
        'stg_omop__procedure_occurrences',
        'stg_omop__measurements',
        'stg_omop__observations',
        'stg_omop__device_exposures',
        'stg_omop__specimens',
        'int_specimens__shaped',
        'int_participant_events__shaped',
        'int_claim_events__shaped',
        'int_claim_checkups__shaped',
        'int_registry_events__shaped'
    ]) }}

),

-- FHIR may name a drug by reference to a Medication
named as (

    select
        events.*,
        coalesce(events.codings, medication.codings) as known_codings
    from events
    left join {{ ref('stg_fhir__medications') }} as medication
        on medication.site = events.site and medication.medication_id = events.medication_id

)

select
    *,
    coalesce(source_system, {{ list_element('known_codings', 1) }}.system) as system_1,
    coalesce(source_code, {{ list_element('known_codings', 1) }}.code) as code_1,
    {{ list_element('known_codings', 2) }}.system as system_2,
    {{ list_element('known_codings', 2) }}.code as code_2,
    {{ list_element('known_codings', 3) }}.system as system_3,
    {{ list_element('known_codings', 3) }}.code as code_3,
    {{ list_element('value_codings', 1) }}.system as value_system,
    {{ list_element('value_codings', 1) }}.code as value_code
from named
