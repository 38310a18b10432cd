select
    record_id,
    person_id,
    person_bucket,
    site,
    'device' as event_kind,
    visit_occurrence_id as visit_id,
    nullif(device_concept_id, 0) as concept_id,
    trim(device_source_value) as source_code,
    -- what the hospital left unmapped is looked up in its own code map
    case when coalesce(device_concept_id, 0) = 0 then 'device' end as source_system,
    device_type_concept_id as type_concept_id,
    device_exposure_start_date as start_date,
    device_exposure_end_date as end_date
from {{ consented_rows('omop', 'device_exposure', event_date='device_exposure_start_date') }} as device_exposure
