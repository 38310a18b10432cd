select
    record_id,
    person_id,
    person_bucket,
    site,
    'immunization' as event_kind,
    encounter_id as visit_id,
    {{ codings_of_two('vaccine_system', 'vaccine_code', 'alternate_system', 'alternate_code') }} as codings,
    {{ local_date('given_at') }} as start_date,
    given_at as start_at,
    case when amount <> 999 then amount end as quantity,
    amount_unit as dose_unit_source_value,
    coalesce(completion_code in ('RE', 'NA') or vaccine_code = '998', false) as is_negated
from {{ consented_rows('hl7_v2', 'vaccination', event_date=local_date('given_at')) }} as vaccination
