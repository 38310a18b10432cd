select
    record_id as imaging_study_id,
    person_id,
    person_bucket,
    site,
    encounter_id as visit_id,
    {{ list_element('modality_codings', 1) }}.code as modality_code,
    {{ standard_first('codings') }} as codings,
    {{ local_date('started_at') }} as start_date,
    started_at as start_at,
    series_count,
    instance_count,
    status = 'cancelled' as is_negated
from {{ consented_rows('fhir', 'imaging_study', event_date=local_date('started_at')) }} as imaging_study
