select
    record_id as event_id,
    person_id,
    person_bucket,
    site,
    'freeze_thaw' as event_kind,
    specimen_id,
    aliquot_id,
    occurred_at,
    reason_code
from {{ consented_rows('lims', 'freeze_thaw', event_date=local_date('occurred_at'), scope='specimen') }} as freeze_thaw
