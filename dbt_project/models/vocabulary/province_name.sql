-- Every way to write a province, in lower case, with its present name.
select
    named.written_name,
    min(province.current_province_code) as current_province_code,
    min(province.current_province_name) as current_province_name
from (
    select lower(province_name) as written_name, province_code from {{ ref('province') }}
    union all
    select lower(written_name), province_code from {{ ref('seed_province_name') }}
) as named
inner join {{ ref('province') }} as province on province.province_code = named.province_code
where named.written_name is not null
group by named.written_name
having count(distinct province.current_province_code) = 1
