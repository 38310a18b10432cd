-- Consent machinery: read before consent, because consent is made of it.
select
    record_id,
    person_id,
    person_bucket,
    site,
    'service' as told_by,
    lower(event_type) as event_type,
    lower(scope_code) as scope_code,
    upper(form_code) as form_code,
    form_version,
    lower(arm_code) as arm_code,
    effective_date,
    valid_until_date,
    covers_from_date,
    retention_years,
    {{ duo_normalised('permission_code') }} as stated_permission_code,
    upper(disease_code) as disease_code,
    nullif({{ duo_normalised('modifier_codes') }}, '') as stated_modifier_codes,
    coalesce(lower(signer_code), 'self') as signer_code,
    lower(signer_basis_code) as signer_basis_code
from {{ unconsented_rows('consent', 'event') }} as event
