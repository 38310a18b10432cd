-- Trios of child, father and mother. Written whole, as its links are.
with children as (

    select
        person_id,
        person_bucket,
        count(distinct family_id) as families,
        min(family_id) as family_id,
        bool_or(is_proband) as is_proband,
        bool_or(is_affected) as is_affected
    from {{ ref('pedigree_member') }}
    group by person_id, person_bucket
    having count(father_member_id) + count(mother_member_id) > 0 or bool_or(is_proband)

),

parents as (

    select
        person_id,
        count(case when relation_code = 'KIN:028' then 1 end) as fathers,
        count(case when relation_code = 'KIN:027' then 1 end) as mothers,
        min(case when relation_code = 'KIN:028' then parent_person_id end) as father_person_id,
        min(case when relation_code = 'KIN:027' then parent_person_id end) as mother_person_id,
        bool_or(case when relation_code = 'KIN:028' then is_parent_affected end) as is_father_affected,
        bool_or(case when relation_code = 'KIN:027' then is_parent_affected end) as is_mother_affected,
        bool_or(has_sex_conflict) as has_sex_conflict
    from {{ ref('pedigree_link') }}
    group by person_id

),

judged as (

    select
        children.*,
        parents.fathers,
        parents.mothers,
        parents.father_person_id,
        parents.mother_person_id,
        parents.is_father_affected,
        parents.is_mother_affected,
        coalesce(fathers, 0) > 1 or coalesce(mothers, 0) > 1 or coalesce(has_sex_conflict, false) or coalesce(father_person_id = mother_person_id, false)
            as is_contradictory
    from children
    left join parents on parents.person_id = children.person_id

)

select
    person_id,
    case when families = 1 then family_id end as family_id,
    is_proband,
    is_affected,
    case when fathers = 1 then father_person_id end as father_person_id,
    case when mothers = 1 then mother_person_id end as mother_person_id,
    case when fathers = 1 then is_father_affected end as is_father_affected,
    case when mothers = 1 then is_mother_affected end as is_mother_affected,
    is_contradictory,
    case
        when fathers = 1 and mothers = 1 then 'trio'
        when fathers = 1 or mothers = 1 then 'duo'
        else 'singleton'
    end as completeness_code,
    coalesce(fathers = 1 and mothers = 1 and not is_contradictory, false) as is_complete,
    person_bucket
from judged
