{{ config(materialized='view') }}

-- Specimens of biobanks as clinical events, on their way to the OMOP table `specimen`.
select
    sample_id as record_id,
    person_id,
    person_bucket,
    site,
    'specimen' as event_kind,
    'sample_type' as source_system,
    sample_type_code as source_code,
    made_date as start_date,
    made_at as start_at,
    amount_initial as quantity,
    amount_unit as unit_source_value,
    {{ codings_of("'anatomical_site'", 'anatomical_site_code') }} as value_codings,
    false as is_negated
from {{ ref('stg_lims__specimens') }} as specimen
