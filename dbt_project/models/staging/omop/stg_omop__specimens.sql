select
    record_id,
    person_id,
    person_bucket,
    site,
    'specimen' as event_kind,
    nullif(specimen_concept_id, 0) as concept_id,
    specimen_type_concept_id as type_concept_id,
    specimen_date as start_date
from {{ consented_rows('omop', 'specimen', event_date='specimen_date', scope='specimen') }} as specimen
