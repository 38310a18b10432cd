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
    {{ local_date('authored_at') }} as start_date,
    authored_at as start_at,
    quantity,
    days_supply,
    status in ('cancelled', 'draft') or coalesce(intent in ('proposal', 'plan'), false) as is_negated
from {{ consented_rows('fhir', 'medication_request', event_date=local_date('authored_at')) }} as medication_request
