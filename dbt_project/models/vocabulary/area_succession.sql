-- Which codes took the place of an abolished one. What an agency or the seed states goes before what is derived. Derived: an area of the same level
-- and name that begins within two days of the end, nearest first (same parent, same province, one anywhere), if it is the only one; else, of districts
-- and towns, the areas into which their parts went.
with stated as (

    select code_system, area_code, successor_code, min(changed_date) as changed_date, min(basis) as basis
    from (
        select code_system, area_code, successor_code, changed_date, 'delivered' as basis from {{ ref('stg_area_code__successions') }}
        union all
        select
            system.code_system,
            succession.province_code || '00000000',
            succession.successor_code || '00000000',
            succession.changed_date,
            'seed'
        from {{ ref('seed_province_succession') }} as succession
        cross join (select 'legal' as code_system union all select 'administrative') as system
    ) as told
    group by code_system, area_code, successor_code

),

province_moves as (

    select distinct code_system, substr(area_code, 1, 2) as province_code, substr(successor_code, 1, 2) as successor_code
    from stated

),

ended as (

    select area.*
    from {{ ref('area') }} as area
    left join stated on stated.code_system = area.code_system and stated.area_code = area.area_code
    where area.abolished_date is not null and stated.area_code is null

),

candidates as (

    select
        ended.code_system,
        ended.area_code,
        ended.area_level,
        ended.abolished_date,
        begun.area_code as successor_code,
        case
            when begun.parent_code = ended.parent_code then 1
            when begun.province_code = ended.province_code or move.successor_code is not null then 2
            else 3
        end as distance
    from ended
    inner join {{ ref('area') }} as begun
        on begun.code_system = ended.code_system
        and begun.area_level = ended.area_level
        and begun.area_name = ended.area_name
        and begun.area_code <> ended.area_code
        and begun.valid_from between ended.abolished_date and {{ add_days('ended.abolished_date', 2) }}
        and begun.valid_to >= begun.valid_from
    left join province_moves as move
        on move.code_system = ended.code_system
        and move.province_code = ended.province_code
        and move.successor_code = begun.province_code

),

nearest as (

    select *, min(distance) over (partition by code_system, area_code, abolished_date) as least
    from candidates

),

matched as (

    select code_system, area_code, area_level, abolished_date, min(successor_code) as successor_code
    from nearest
    where distance = least
    group by code_system, area_code, area_level, abolished_date
    having count(distinct successor_code) = 1

),

-- parts of what is still without a successor, with the area of its level in which they lie now
parts as (

    {% for level in ['town', 'district'] -%}
    select distinct
        ended.code_system,
        ended.area_code,
        ended.abolished_date,
        {{ area_at_level('part.successor_code', "'" ~ level ~ "'") }} as successor_code
    from ended
    inner join matched as part
        on part.code_system = ended.code_system
        and {{ area_at_level('part.area_code', "'" ~ level ~ "'") }} = ended.area_code
        and part.area_code <> ended.area_code
        and part.abolished_date between {{ add_days('ended.abolished_date', -2) }} and {{ add_days('ended.abolished_date', 2) }}
    left join matched as known
        on known.code_system = ended.code_system
        and known.area_code = ended.area_code
        and known.abolished_date = ended.abolished_date
    where ended.area_level = '{{ level }}' and known.area_code is null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

found as (

    select code_system, area_code, successor_code, changed_date, basis from stated
    union all
    select code_system, area_code, successor_code, abolished_date, 'name' from matched
    union all
    select code_system, area_code, successor_code, abolished_date, 'parts' from parts where successor_code <> area_code

)

select
    code_system,
    area_code,
    successor_code,
    changed_date,
    basis,
    count(*) over (partition by code_system, area_code, changed_date) as successor_count
from found
