select
    record_id as event_id,
    person_id,
    person_bucket,
    site,
    'usage' as event_kind,
    specimen_id,
    aliquot_id,
    occurred_at,
    amount,
    amount_unit,
    purpose_code as reason_code
from {{ consented_rows('lims', 'usage', event_date=local_date('occurred_at'), scope='specimen') }} as usage
