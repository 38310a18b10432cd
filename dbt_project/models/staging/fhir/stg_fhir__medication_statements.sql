{% set said_at = 'coalesce(started_at, asserted_at)' %}

select
    record_id,
    person_id,
    person_bucket,
    site,
    'drug' as event_kind,
    encounter_id as visit_id,
    {{ standard_first('codings') }} as codings,
    medication_id,
    32865 as type_concept_id,
    {{ local_date(said_at) }} as start_date,
    {{ said_at }} as start_at,
    {{ local_date('ended_at') }} as end_date,
    ended_at as end_at,
    status in ('intended', 'not-taken') as is_negated
from {{ consented_rows('fhir', 'medication_statement', event_date=local_date(said_at)) }} as medication_statement
