select
    record_id,
    person_id,
    person_bucket,
    site,
    'procedure' as event_kind,
    encounter_id as visit_id,
    {{ standard_first('codings') }} as codings,
    {{ local_date('performed_at') }} as start_date,
    performed_at as start_at,
    {{ local_date('ended_at') }} as end_date,
    ended_at as end_at,
    coalesce(is_negated, false) or coalesce(mood_code <> 'EVN', false) or coalesce(status_code in ('nullified', 'cancelled'), false) as is_negated
from {{ consented_rows('ccda', 'procedure', event_date=local_date('performed_at')) }} as procedure
