-- Which codes stand on a day for a code of any time: itself while it is in force, then those that took its place, down the chain.
with recursive followed as (

    select code_system, area_code, area_code as current_code, valid_from, valid_to, false as is_split
    from {{ ref('area') }}
    union
    select
        followed.code_system,
        followed.area_code,
        succession.successor_code as current_code,
        -- a gap of two days between the end of the one and the beginning of the other is closed
        case
            when successor.valid_from <= {{ add_days('succession.changed_date', 2) }} then succession.changed_date
            else successor.valid_from
        end as valid_from,
        successor.valid_to,
        followed.is_split or succession.successor_count > 1 as is_split
    from followed
    inner join {{ ref('area_succession') }} as succession
        on succession.code_system = followed.code_system
        and succession.area_code = followed.current_code
        and succession.changed_date > followed.valid_from
        and succession.changed_date between followed.valid_to and {{ add_days('followed.valid_to', 3) }}
    inner join {{ ref('area') }} as successor
        on successor.code_system = succession.code_system
        and successor.area_code = succession.successor_code
        and successor.valid_to >= succession.changed_date

)

select
    code_system,
    area_code,
    current_code,
    valid_from,
    max(valid_to) as valid_to,
    bool_or(is_split) as is_split
from followed
where valid_to >= valid_from
group by code_system, area_code, current_code, valid_from
