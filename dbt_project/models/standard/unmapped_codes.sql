-- Codes that no mapping covers, for whoever maintains the maps. Counts below 5 are not told.
with counted as (

    select
        site,
        source_system,
        source_code,
        omop_table,
        sum(record_count) as records,
        sum(person_count) as people
    from {{ ref('int_codes__counted') }}
    where not is_mapped
    group by site, source_system, source_code, omop_table

)

select
    site,
    source_system,
    source_code,
    case omop_table
        when 'condition_occurrence' then 'Condition'
        when 'drug_exposure' then 'Drug'
        when 'procedure_occurrence' then 'Procedure'
        when 'device_exposure' then 'Device'
        when 'measurement' then 'Measurement'
        when 'device_exposure' then 'Device'
        when 'specimen' then 'Specimen'
        else 'Observation'
    end as domain_id,
    case when records < 5 then '<5' else cast(records as varchar) end as record_count,
    case when people < 5 then '<5' else cast(people as varchar) end as person_count
from counted
