-- Province codes of all times with the one that stands for them now.
select
    area.province_code,
    min(area.area_name) as province_name,
    coalesce(min(present.province_code), area.province_code) as current_province_code,
    coalesce(min(present.area_name), min(area.area_name)) as current_province_name
from {{ ref('area') }} as area
left join (
    select code_system, area_code, min(current_code) as current_code
    from {{ ref('area_period') }}
    where valid_to = date '9999-12-31'
    group by code_system, area_code
    having count(distinct current_code) = 1
) as period on period.code_system = area.code_system and period.area_code = area.area_code
left join {{ ref('area') }} as present
    on present.code_system = period.code_system
    and present.area_code = period.current_code
    and present.valid_to = date '9999-12-31'
where area.area_level = 'province' and area.code_system = 'legal'
group by area.province_code
