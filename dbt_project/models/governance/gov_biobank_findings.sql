-- What is odd in biobanks and stays in place: how often, by biobank. Two samples of one position may be of two people in two buckets, so
-- positions are compared whole, every time; what a single sample tells is counted by bucket.
with taken as (

    select site, storage_position_id, count(*) as samples
    from {{ ref('biobank_sample') }}
    where storage_position_id is not null and disposed_at is null
    group by site, storage_position_id
    having count(*) > 1

),

found as (

    select site, finding, sample_count as samples from {{ ref('int_sample_findings__counted') }}
    union all
    select site, 'position_taken_twice', samples from taken

),

counted as (

    select site, finding, sum(samples) as samples
    from found
    group by site, finding

)

select
    site,
    finding,
    case when samples < 5 then '<5' else cast(samples as varchar) end as sample_count
from counted
