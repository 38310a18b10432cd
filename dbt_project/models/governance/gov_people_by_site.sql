-- How many people each site has, by arm.
with counted as (

    select site, arm_code, sum(person_count) as people
    from {{ ref('int_site_people__counted') }}
    group by site, arm_code

)

select
    site,
    arm_code,
    cast(case when people >= 5 then people end as bigint) as people_count,
    people < 5 as has_small_cell
from counted
