-- Who is whose child, where both may be read. Written whole: a child and a parent are in different buckets, and who leaves takes the links along.
-- Relations are those of the GA4GH pedigree standard (kinship ontology).
with named as (

    select site, person_id, person_bucket, father_member_id as parent_member_id, 'KIN:028' as relation_code, 'male' as expected_sex_code
    from {{ ref('pedigree_member') }}
    where father_member_id is not null
    union all
    select site, person_id, person_bucket, mother_member_id, 'KIN:027', 'female'
    from {{ ref('pedigree_member') }}
    where mother_member_id is not null

)

select
    named.person_id,
    parent.person_id as parent_person_id,
    named.relation_code,
    bool_or(parent.sex_code <> named.expected_sex_code) is true as has_sex_conflict,
    bool_or(parent.is_affected) as is_parent_affected,
    named.person_bucket
from named
inner join {{ ref('pedigree_member') }} as parent on parent.site = named.site and parent.member_id = named.parent_member_id
where parent.person_id <> named.person_id
group by named.person_id, parent.person_id, named.relation_code, named.person_bucket
