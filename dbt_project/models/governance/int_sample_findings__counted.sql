{{ config(partition_by='person_bucket', packed=true) }}

-- What is odd in single samples, a bucket at a time, so that a delivery recounts only what it touched.
with found as (

    {% for code in sample_findings() -%}
    select site, '{{ code }}' as finding, person_bucket
    from {{ person_ref('biobank_sample') }} as sample
    where ' ' || finding_codes || ' ' like '% {{ code }} %'
    union all
    {% endfor -%}
    select site, 'remaining_not_stated', person_bucket
    from {{ person_ref('biobank_sample') }} as sample
    where conservation_status = 'not_stated'

)

select site, finding, count(*) as sample_count, person_bucket
from found
group by site, finding, person_bucket
