{% set started_at = 'coalesce(started_at, recorded_at)' %}

select
    record_id,
    person_id,
    person_bucket,
    site,
    'drug' as event_kind,
    encounter_id as visit_id,
    {{ standard_first('codings') }} as codings,
    {{ local_date(started_at) }} as start_date,
    {{ started_at }} as start_at,
    {{ local_date('ended_at') }} as end_date,
    ended_at as end_at,
    quantity,
    route_code as route_source_value,
    dose_unit as dose_unit_source_value,
    coalesce(is_negated, false) or coalesce(mood_code not in ('EVN', 'INT'), false) or coalesce(status_code in ('nullified', 'cancelled'), false) as is_negated
from {{ consented_rows('ccda', 'medication', event_date=local_date(started_at)) }} as medication
