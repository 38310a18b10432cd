-- How many people each site has, by arm. Rebuilt whole: it reads two columns of a short table.
with counted as (

    select
        people.site,
        coalesce(arm.arm_code, 'not said') as arm_code,
        count(*) as people
    from {{ ref('person_site') }} as people
    left join {{ ref('person_arm') }} as arm on arm.person_id = people.person_id and {{ as_of() }} between arm.valid_from and arm.valid_to
    group by people.site, coalesce(arm.arm_code, 'not said')

)

select
    site,
    arm_code,
    cast(case when people >= 5 then people end as bigint) as people_count,
    people < 5 as has_small_cell
from counted
