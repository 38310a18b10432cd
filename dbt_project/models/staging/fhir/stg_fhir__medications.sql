select
    record_id as medication_id,
    site,
    {{ standard_first('codings') }} as codings,
    {{ list_element('form_codings', 1) }}.code as form_code
from {{ raw_rows('fhir', 'medication') }} as medication
