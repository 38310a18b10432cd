select
    record_id,
    person_id,
    person_bucket,
    site,
    'drug' as event_kind,
    encounter_id as visit_id,
    provider_id,
    {{ standard_first('codings') }} as codings,
    medication_id,
    32825 as type_concept_id,
    {{ local_date('handed_over_at') }} as start_date,
    handed_over_at as start_at,
    quantity,
    days_supply,
    quantity_unit as dose_unit_source_value,
    status in ('preparation', 'cancelled', 'declined') as is_negated
from {{ consented_rows('fhir', 'medication_dispense', event_date=local_date('handed_over_at')) }} as medication_dispense
