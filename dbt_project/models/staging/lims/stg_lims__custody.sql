select
    record_id as event_id,
    person_id,
    person_bucket,
    site,
    'custody' as event_kind,
    specimen_id,
    aliquot_id,
    occurred_at,
    from_holder_code,
    to_holder_code,
    reason_code,
    shipment_id
from {{ consented_rows('lims', 'custody', event_date=local_date('occurred_at'), scope='specimen') }} as custody
