{{ config(partition_by='person_bucket') }}

select
    event_id as device_exposure_id,
    person_id,
    concept_id as device_concept_id,
    start_date as device_exposure_start_date,
    start_at as device_exposure_start_datetime,
    end_date as device_exposure_end_date,
    end_at as device_exposure_end_datetime,
    type_concept_id as device_type_concept_id,
    cast(null as varchar) as unique_device_id,
    cast(null as varchar) as production_id,
    quantity,
    provider_id,
    visit_id as visit_occurrence_id,
    cast(null as bigint) as visit_detail_id,
    source_value as device_source_value,
    source_concept_id as device_source_concept_id,
    coalesce(unit_concept_id, 0) as unit_concept_id,
    unit_source_value,
    cast(0 as bigint) as unit_source_concept_id,
    site,
    person_bucket
from {{ person_ref('int_events__coded') }} as event
where omop_table = 'device_exposure' and set_aside_reason is null
