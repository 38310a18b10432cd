-- What is odd in biobanks and stays in place: how often, by biobank. Rebuilt whole, from the samples that may be read.
with findings as (

    {% for code in sample_findings() -%}
    select site, '{{ code }}' as finding, count(*) as samples
    from {{ ref('biobank_sample') }}
    where ' ' || finding_codes || ' ' like '% {{ code }} %'
    group by site
    union all
    {% endfor %}
    select site, 'position_taken_twice', sum(samples) as samples
    from (
        select site, storage_position_id, count(*) as samples
        from {{ ref('biobank_sample') }}
        where storage_position_id is not null and disposed_at is null
        group by site, storage_position_id
        having count(*) > 1
    ) as places
    group by site
    union all
    select site, 'remaining_not_stated', count(*)
    from {{ ref('biobank_sample') }}
    where conservation_status = 'not_stated'
    group by site

)

select
    site,
    finding,
    case when samples < 5 then '<5' else cast(samples as varchar) end as sample_count
from findings
where samples > 0
