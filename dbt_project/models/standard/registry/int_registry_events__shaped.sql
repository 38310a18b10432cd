{{ config(materialized='view') }}

-- Answers with a value as clinical events. The item is looked up first, then the item with its answer (`comorb_asthma=1`); an option that was
-- not ticked is no event.
select
    answer_id as record_id,
    person_id,
    person_bucket,
    site,
    case when value_number is null then 'observation' else 'measurement' end as event_kind,
    {{ codings_of_two("'item'", 'item_code', "'item'", "item_code || '=' || coalesce(option_code, value_code)") }} as codings,
    case when option_code is null and value_code is not null then {{ codings_of("'item'", 'value_code') }} end as value_codings,
    {{ case_report_type() }} as type_concept_id,
    observed_date as start_date,
    value_number
from {{ person_ref('registry_answer') }} as answer
where missing_reason is null
    and (option_code is null or value_code = '1')
