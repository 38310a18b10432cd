-- Values that no OMOP column can hold as they came: left out and counted, the record stands without them.
with found as (

    select site, 'days_supply_out_of_range' as finding, count(*) as records
    from {{ ref('int_events__coded') }}
    where has_odd_days_supply
    group by site
    union all
    select site, 'quantity_out_of_range', count(*) from {{ ref('int_events__coded') }} where has_odd_quantity group by site
    union all
    select site, 'birth_date_in_no_calendar', count(*)
    from {{ ref('person') }}
    where month_of_birth is not null and day_of_birth is not null and birth_datetime is null
    group by site

)

select
    site,
    finding,
    case when records < 5 then '<5' else cast(records as varchar) end as record_count
from found
where records > 0
