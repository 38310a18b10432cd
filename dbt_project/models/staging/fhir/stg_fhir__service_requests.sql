select
    record_id as service_request_id,
    person_id,
    person_bucket,
    site,
    encounter_id as visit_id,
    provider_id,
    status,
    intent,
    {{ list_element('category_codings', 1) }}.code as category_code,
    {{ standard_first('codings') }} as codings,
    {{ local_date('authored_at') }} as ordered_date,
    authored_at as ordered_at
from {{ consented_rows('fhir', 'service_request', event_date=local_date('authored_at')) }} as service_request
