select
    record_id as visit_id,
    person_id,
    person_bucket,
    site,
    class_code,
    {{ local_date('started_at') }} as start_date,
    started_at as start_at,
    {{ local_date('ended_at') }} as end_date,
    ended_at as end_at,
    coalesce(mood_code <> 'EVN', false) or coalesce(status_code in ('nullified', 'cancelled'), false) as is_negated
from {{ consented_rows('ccda', 'encounter', event_date=local_date('started_at')) }} as encounter
