{% set started_at = 'coalesce(onset_at, recorded_at)' %}

select
    record_id,
    person_id,
    person_bucket,
    site,
    'allergy' as event_kind,
    encounter_id as visit_id,
    allergy_system as source_system,
    allergy_code as source_code,
    {{ local_date(started_at) }} as start_date,
    {{ started_at }} as start_at
from {{ consented_rows('hl7_v2', 'allergy', event_date=local_date(started_at)) }} as allergy
