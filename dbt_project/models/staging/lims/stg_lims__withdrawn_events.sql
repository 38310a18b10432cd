-- Reviewed exception (assets/governance/consent_exceptions.py): who holds a sample, and whether it is gone.
select
    record_id as event_id,
    person_id,
    person_bucket,
    site,
    'custody' as event_kind,
    specimen_id,
    aliquot_id,
    occurred_at,
    to_holder_code as holder_code,
    false as is_whole
from {{ withdrawn_rows('lims', 'custody', scope='specimen') }} as custody

union all

select
    record_id as event_id,
    person_id,
    person_bucket,
    site,
    'disposal' as event_kind,
    specimen_id,
    aliquot_id,
    occurred_at,
    cast(null as varchar) as holder_code,
    amount is null as is_whole
from {{ withdrawn_rows('lims', 'disposal', scope='specimen') }} as disposal
