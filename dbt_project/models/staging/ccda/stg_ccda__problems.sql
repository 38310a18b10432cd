{% set started_at = 'coalesce(onset_at, recorded_at)' %}

select
    record_id,
    person_id,
    person_bucket,
    site,
    'condition' as event_kind,
    encounter_id as visit_id,
    {{ standard_first('codings') }} as codings,
    {{ local_date(started_at) }} as start_date,
    {{ started_at }} as start_at,
    {{ local_date('abatement_at') }} as end_date,
    abatement_at as end_at,
    coalesce(is_negated, false) or coalesce(mood_code <> 'EVN', false) or coalesce(status_code in ('nullified', 'cancelled'), false) as is_negated
from {{ consented_rows('ccda', 'problem', event_date=local_date(started_at)) }} as problem
