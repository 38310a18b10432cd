-- Every area code that an agency delivered, and the provinces that everybody knows, with the days on which it is in force.
with named as (

    select code_system, area_code, province_name, district_name, town_name, village_name, created_date, abolished_date
    from {{ ref('stg_area_code__areas') }}
    union all
    select
        system.code_system,
        province.province_code || '00000000' as area_code,
        province.province_name,
        null as district_name,
        null as town_name,
        null as village_name,
        province.created_date,
        province.abolished_date
    from {{ ref('seed_province') }} as province
    cross join (select 'legal' as code_system union all select 'administrative') as system

),

areas as (

    select
        code_system,
        area_code,
        coalesce(created_date, date '0001-01-01') as valid_from,
        max(abolished_date) as abolished_date,
        max(province_name) as province_name,
        max(district_name) as district_name,
        max(town_name) as town_name,
        max(village_name) as village_name
    from named
    group by code_system, area_code, coalesce(created_date, date '0001-01-01')

),

levelled as (

    select *, {{ area_level('area_code') }} as area_level
    from areas

)

select
    code_system,
    area_code,
    valid_from,
    coalesce({{ add_days('abolished_date', -1) }}, date '9999-12-31') as valid_to,
    abolished_date,
    area_level,
    case area_level
        when 'province' then province_name when 'district' then district_name when 'town' then town_name else village_name
    end as area_name,
    concat_ws(' ', province_name, district_name, town_name, village_name) as full_name,
    case
        when area_level = 'village' then substr(area_code, 1, 8) || '00'
        when area_level = 'town' then substr(area_code, 1, 5) || '00000'
        -- a ward of a city that is itself a district: the city's code ends its five digits with 0
        when area_level = 'district' and district_name like '% %' then substr(area_code, 1, 4) || '000000'
        when area_level = 'district' then substr(area_code, 1, 2) || '00000000'
    end as parent_code,
    substr(area_code, 1, 2) as province_code
from levelled
