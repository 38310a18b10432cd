select
    record_id,
    person_id,
    person_bucket,
    site,
    'observation' as event_kind,
    encounter_id as visit_id,
    {{ codings_of_two('observation_system', 'observation_code', 'alternate_system', 'alternate_code') }} as codings,
    {{ local_date('measured_at') }} as start_date,
    measured_at as start_at,
    value_number,
    value_comparator,
    value_unit as unit_source_value,
    case when value_code is not null then {{ codings_of('value_system', 'value_code') }} end as value_codings,
    coalesce(status_code in ('X', 'I', 'N', 'O'), false) as is_negated
from {{ consented_rows('hl7_v2', 'observation_result', event_date=local_date('measured_at')) }} as observation_result
