select
    item.site,
    item.item_code,
    item.form_code,
    item.value_kind,
    item.does_pass,
    item.is_identifier,
    item.is_required,
    item.has_branching,
    item.label_text,
    item.choices_text,
    withheld.withheld_reasons,
    case
        when withheld.withheld_values is null then '0'
        when withheld.withheld_values < 5 then '<5'
        else cast(withheld.withheld_values as varchar)
    end as withheld_count
from (
    select site, item_code, form_code, value_kind, does_pass, is_identifier, is_required, has_branching, label_text, choices_text
    from {{ ref('stg_registry__items') }}
    union all
    -- what no delivered dictionary knows is shown beside what it knows
    select
        withheld.site,
        withheld.item_code,
        cast(null as varchar),
        case when max(case when withheld.reason_code = 'unknown_item' then 1 else 0 end) = 1 then 'unknown' else 'site_file' end,
        false, false, false, false,
        cast(null as varchar),
        cast(null as varchar)
    from {{ ref('stg_registry__withheld_items') }} as withheld
    left join {{ ref('stg_registry__items') }} as known
        on known.site = withheld.site and known.item_code = withheld.item_code
    where known.item_code is null
    group by withheld.site, withheld.item_code
) as item
left join (
    select
        site,
        item_code,
        sum(value_count) as withheld_values,
        string_agg(distinct reason_code, ', ' order by reason_code) as withheld_reasons
    from {{ ref('stg_registry__withheld_items') }}
    group by site, item_code
) as withheld
    on withheld.site = item.site and withheld.item_code = item.item_code
