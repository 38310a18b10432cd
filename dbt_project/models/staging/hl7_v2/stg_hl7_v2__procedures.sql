select
    record_id,
    person_id,
    person_bucket,
    site,
    'procedure' as event_kind,
    encounter_id as visit_id,
    {{ codings_of_two('procedure_system', 'procedure_code', 'alternate_system', 'alternate_code') }} as codings,
    {{ local_date('performed_at') }} as start_date,
    performed_at as start_at
from {{ consented_rows('hl7_v2', 'procedure', event_date=local_date('performed_at')) }} as performed
