-- FHIR does not say since when somebody has a device; without a day it is set aside, counted and shown.
select
    record_id,
    person_id,
    person_bucket,
    site,
    'device' as event_kind,
    {{ standard_first('codings') }} as codings,
    cast(null as date) as start_date,
    cast(null as timestamp with time zone) as start_at,
    false as is_negated
from {{ consented_rows('fhir', 'device', event_date='cast(null as date)') }} as device
