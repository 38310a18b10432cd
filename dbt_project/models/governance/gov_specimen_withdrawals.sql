-- How many samples of people who withdrew are still to be destroyed. Counts below 5 are not told.
with counted as (

    select site, 'to_destroy' as status, count(*) as samples
    from {{ ref('gov_specimen_destruction') }}
    where not is_destruction_confirmed
    group by site
    union all
    select site, 'destroyed', count(*)
    from {{ ref('gov_specimen_destruction') }}
    where is_destruction_confirmed
    group by site
    union all
    select site, 'made_after_withdrawal', count(*)
    from {{ ref('gov_specimen_destruction') }}
    where is_made_after_withdrawal
    group by site

)

select
    site,
    status,
    case when samples < 5 then '<5' else cast(samples as varchar) end as sample_count
from counted
where samples > 0
