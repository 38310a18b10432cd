-- What is odd in claims, counted and left in place.
with codes as (

    select
        site,
        edi_code,
        sum(record_count) as records,
        count(distinct category) as kinds,
        coalesce(sum(record_count) filter (where category is null), 0) as unknown
    from {{ ref('int_claim_findings__counted') }}
    where finding = 'line'
    group by site, edi_code

),

counted as (

    select site, finding, sum(record_count) as records
    from {{ ref('int_claim_findings__counted') }}
    where finding <> 'line'
    group by site, finding
    union all
    select site, 'code_of_two_kinds', sum(records) from codes where kinds > 1 group by site
    union all
    select site, 'line_without_kind', sum(unknown) from codes group by site

)

select
    site,
    finding,
    case when records < 5 then '<5' else cast(records as varchar) end as record_count
from counted
where records > 0
