{{ config(partition_by='person_bucket', packed=true) }}

-- People by why they are left out, and their records by why those do not count, a bucket at a time, so that a delivery recounts only
-- what it touched. Nobody is in two buckets: people may be summed.
{%- set shared = ['before_birth', 'after_death', 'outside_observation', 'no_value', 'below_limit', 'unit_not_convertible', 'implausible'] %}
{%- set kidney = ['under_18', 'sex_unknown'] %}
select
    'cohort_type2_diabetes' as cohort_name,
    exclusion_code,
    count(*) as people_count,
    {%- for code in shared %}
    count(*) filter (where {{ code }}_count > 0) as {{ code }}_people,
    cast(sum({{ code }}_count) as bigint) as {{ code }}_count,
    {%- endfor %}
    {%- for code in kidney %}
    cast(0 as bigint) as {{ code }}_people,
    cast(0 as bigint) as {{ code }}_count,
    {%- endfor %}
    person_bucket
from {{ person_ref('int_diabetes_people__qualified') }} as people
group by exclusion_code, person_bucket
union all
select
    'cohort_chronic_kidney_disease',
    exclusion_code,
    count(*),
    {%- for code in shared + kidney %}
    count(*) filter (where {{ code }}_count > 0),
    cast(sum({{ code }}_count) as bigint),
    {%- endfor %}
    person_bucket
from {{ person_ref('int_kidney_people__qualified') }} as people
group by exclusion_code, person_bucket
union all
-- whom the cohorts choose from
select
    'everybody',
    null,
    count(*),
    {%- for code in shared + kidney %}
    0,
    0,
    {%- endfor %}
    person_bucket
from {{ person_ref('person') }} as people
group by person_bucket
