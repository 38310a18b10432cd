-- Who agrees to what today.
with counted as (

    select scope_code, permission_code, arm_code, sum(person_count) as people
    from {{ ref('int_consent_status__counted') }}
    group by scope_code, permission_code, arm_code

)

select
    scope_code,
    permission_code,
    arm_code,
    cast(case when people >= 5 then people end as bigint) as people_count,
    people < 5 as has_small_cell
from counted
