-- Cells that hold no value but say why, by field. Counts below 5 are not told.
with counted as (

    select site, field_name, missing_reason, sum(cell_count) as cells
    from {{ ref('int_participant_cells__counted') }}
    group by site, field_name, missing_reason

)

select
    site,
    field_name,
    missing_reason,
    case when cells < 5 then '<5' else cast(cells as varchar) end as cell_count
from counted
