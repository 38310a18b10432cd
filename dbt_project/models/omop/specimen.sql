{{ config(partition_by='person_bucket') }}

select
    event.event_id as specimen_id,
    event.person_id,
    event.concept_id as specimen_concept_id,
    event.type_concept_id as specimen_type_concept_id,
    event.start_date as specimen_date,
    event.start_at as specimen_datetime,
    event.quantity,
    coalesce(event.unit_concept_id, unit.unit_concept_id, 0) as unit_concept_id,
    coalesce(event.value_concept_id, 0) as anatomic_site_concept_id,
    cast(0 as bigint) as disease_status_concept_id,
    cast(null as varchar) as specimen_source_id,
    event.source_value as specimen_source_value,
    event.unit_source_value,
    event.value_source_value as anatomic_site_source_value,
    cast(null as varchar) as disease_status_source_value,
    event.site,
    event.person_bucket
from {{ person_ref('int_events__coded') }} as event
left join {{ ref('unit_text') }} as unit on unit.unit_text = event.unit_source_value
where event.omop_table = 'specimen' and event.set_aside_reason is null
