{{ config(partition_by='person_bucket') }}

-- Members of families, each on their own consent. Kept by person, so that links between people of different buckets can be made of all of them.
select
    member_id,
    person_id,
    site,
    family_id,
    father_member_id,
    mother_member_id,
    sex_code,
    is_affected,
    is_proband,
    person_bucket
from {{ person_ref('stg_pedigree__members') }} as member
