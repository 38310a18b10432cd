select
    record_id as event_id,
    person_id,
    person_bucket,
    site,
    'disposal' as event_kind,
    specimen_id,
    aliquot_id,
    occurred_at,
    amount,
    amount_unit,
    method_code,
    reason_code
from {{ consented_rows('lims', 'disposal', event_date=local_date('occurred_at'), scope='specimen') }} as disposal
