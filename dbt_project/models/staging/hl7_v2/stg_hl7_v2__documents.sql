select
    record_id,
    person_id,
    person_bucket,
    site,
    'observation' as event_kind,
    encounter_id as visit_id,
    'HL70270' as source_system,
    document_type_code as source_code,
    {{ local_date('documented_at') }} as start_date,
    documented_at as start_at
from {{ consented_rows('hl7_v2', 'document', event_date=local_date('documented_at')) }} as document
