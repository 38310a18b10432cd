-- Values that no OMOP column can hold as they came: left out and counted, the record stands without them.
with counted as (

    select site, finding, sum(record_count) as records
    from {{ ref('int_event_findings__counted') }}
    group by site, finding

)

select
    site,
    finding,
    case when records < 5 then '<5' else cast(records as varchar) end as record_count
from counted
