{{ config(partition_by='person_bucket', packed=true) }}

-- Who agrees to what on the day of the build, a bucket at a time. Nobody is in two buckets: people may be summed. What the day alone changes
-- touches its bucket (assets/planning.py: _aged_buckets). A person may hold several grants of one scope and permission, of sites of their own.
select
    relation.scope_code,
    relation.permission_code,
    coalesce(arm.arm_code, 'not said') as arm_code,
    count(distinct relation.person_id) as person_count,
    relation.person_bucket
from {{ person_ref('consent_relation') }} as relation
left join {{ person_ref('person_arm') }} as arm on arm.person_id = relation.person_id and {{ as_of() }} between arm.valid_from and arm.valid_to
where relation.legal_basis = 'consented'
group by relation.scope_code, relation.permission_code, coalesce(arm.arm_code, 'not said'), relation.person_bucket
