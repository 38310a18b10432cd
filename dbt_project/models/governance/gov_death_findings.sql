-- What is odd in records of death, counted and left in place.
with counted as (

    select site, finding, sum(record_count) as records
    from {{ ref('int_death_findings__counted') }}
    group by site, finding

)

select
    site,
    finding,
    case when records < 5 then '<5' else cast(records as varchar) end as record_count
from counted
