{{ config(partition_by='person_bucket') }}

select
    record_id as answer_id,
    person_id,
    site,
    event_id,
    event_code,
    instrument_code,
    instance_number,
    observed_date,
    form_code,
    form_instance_number,
    group_instance_number,
    item_code,
    option_code,
    value_code,
    value_number,
    value_date,
    value_at,
    missing_reason,
    person_bucket
from {{ ref('stg_registry__answers') }}
