select
    record_id,
    person_id,
    person_bucket,
    site,
    'condition' as event_kind,
    encounter_id as visit_id,
    {{ codings_of_two('diagnosis_system', 'diagnosis_code', 'alternate_system', 'alternate_code') }} as codings,
    {{ local_date('diagnosed_at') }} as start_date,
    diagnosed_at as start_at,
    diagnosis_type_code as status_code
from {{ consented_rows('hl7_v2', 'diagnosis', event_date=local_date('diagnosed_at')) }} as diagnosis
