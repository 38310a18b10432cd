-- Reviewed exception (assets/governance/consent_exceptions.py): what has to be destroyed is only known from rows that nobody else may read.
select
    record_id as sample_id,
    person_id,
    person_bucket,
    site,
    'specimen' as sample_kind,
    custodian_code,
    {{ local_date('collected_at') }} as made_date
from {{ withdrawn_rows('lims', 'specimen', scope='specimen') }} as specimen

union all

select
    record_id as sample_id,
    person_id,
    person_bucket,
    site,
    'aliquot' as sample_kind,
    custodian_code,
    {{ local_date('created_at') }} as made_date
from {{ withdrawn_rows('lims', 'aliquot', scope='specimen') }} as aliquot
