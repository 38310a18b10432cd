{% set taken_at = 'coalesce(collected_at, received_at)' %}

select
    record_id,
    person_id,
    person_bucket,
    site,
    'specimen' as event_kind,
    {{ standard_first('codings') }} as codings,
    {{ local_date(taken_at) }} as start_date,
    {{ taken_at }} as start_at,
    body_site_codings as value_codings,
    quantity,
    quantity_unit as unit_source_value,
    false as is_negated
from {{ consented_rows('fhir', 'specimen', event_date=local_date(taken_at), scope='specimen') }} as specimen
