select
    record_id,
    person_id,
    person_bucket,
    site,
    'immunization' as event_kind,
    encounter_id as visit_id,
    {{ standard_first('codings') }} as codings,
    {{ local_date('given_at') }} as start_date,
    given_at as start_at,
    dose_value as quantity,
    dose_unit as dose_unit_source_value,
    coalesce(is_negated, false) or coalesce(mood_code <> 'EVN', false) or coalesce(status_code in ('nullified', 'cancelled'), false) as is_negated
from {{ consented_rows('ccda', 'immunization', event_date=local_date('given_at')) }} as immunization
