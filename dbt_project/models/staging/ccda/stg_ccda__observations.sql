select
    record_id,
    person_id,
    person_bucket,
    site,
    'observation' as event_kind,
    encounter_id as visit_id,
    {{ standard_first('codings') }} as codings,
    {{ local_date('measured_at') }} as start_date,
    measured_at as start_at,
    value_number,
    value_comparator,
    value_unit as unit_source_value,
    value_codings,
    range_low,
    range_high,
    coalesce(is_negated, false) or coalesce(mood_code <> 'EVN', false) or coalesce(status_code in ('nullified', 'cancelled'), false) as is_negated
from {{ consented_rows('ccda', 'observation', event_date=local_date('measured_at')) }} as observation
