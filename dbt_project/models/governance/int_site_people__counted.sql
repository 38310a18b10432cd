{{ config(partition_by='person_bucket', packed=true) }}

-- People of each site by the arm of the day, a bucket at a time. Nobody is in two buckets: people may be summed. What the day alone changes
-- touches its bucket (assets/planning.py: _aged_buckets).
select
    people.site,
    coalesce(arm.arm_code, 'not said') as arm_code,
    count(*) as person_count,
    people.person_bucket
from {{ person_ref('person_site') }} as people
left join {{ person_ref('person_arm') }} as arm on arm.person_id = people.person_id and {{ as_of() }} between arm.valid_from and arm.valid_to
group by people.site, coalesce(arm.arm_code, 'not said'), people.person_bucket
