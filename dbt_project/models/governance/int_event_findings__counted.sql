{{ config(partition_by='person_bucket', packed=true) }}

-- Values that no OMOP column can hold as they came, a bucket at a time, so that a delivery recounts only what it touched.
with found as (

    select site, 'days_supply_out_of_range' as finding, person_bucket
    from {{ person_ref('int_events__coded') }} as event
    where has_odd_days_supply
    union all
    select site, 'quantity_out_of_range', person_bucket
    from {{ person_ref('int_events__coded') }} as event
    where has_odd_quantity
    union all
    select site, 'birth_date_in_no_calendar', person_bucket
    from {{ person_ref('person') }} as person
    where month_of_birth is not null and day_of_birth is not null and birth_datetime is null

)

select site, finding, count(*) as record_count, person_bucket
from found
group by site, finding, person_bucket
