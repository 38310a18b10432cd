-- Who agrees to what today. Rebuilt whole: it reads three columns of the consent relation.
with counted as (

    select
        relation.scope_code,
        relation.permission_code,
        coalesce(arm.arm_code, 'not said') as arm_code,
        count(distinct relation.person_id) as people
    from {{ ref('consent_relation') }} as relation
    left join {{ ref('person_arm') }} as arm on arm.person_id = relation.person_id and {{ as_of() }} between arm.valid_from and arm.valid_to
    where relation.legal_basis = 'consented'
    group by relation.scope_code, relation.permission_code, coalesce(arm.arm_code, 'not said')

)

select
    scope_code,
    permission_code,
    arm_code,
    cast(case when people >= 5 then people end as bigint) as people_count,
    people < 5 as has_small_cell
from counted
