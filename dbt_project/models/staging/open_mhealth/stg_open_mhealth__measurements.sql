-- Number 0 is the only number of a data point; 1 and on are the numbers of one that holds several (a blood pressure holds two).
with numbered as (

    select
        *,
        {{ ordinals('components', first=0) }} as component_number
    from {{ consented_rows(
        'open_mhealth', 'data_point', event_date='coalesce(' ~ local_date('started_at') ~ ', interval_date)', scope='lifelog'
    ) }} as data_point

),

valued as (

    select
        *,
        {{ list_element('components', 'component_number') }} as component,
        component_number > 0 as is_component,
        -- an interval that ends before it starts has no day one could trust
        case
            when coalesce(ended_at >= started_at, true) then coalesce({{ local_date('started_at') }}, interval_date)
        end as start_date
    from numbered

),

named as (

    select
        *,
        case when is_component then component.value_number else value_number end as number,
        case when is_component then component.value_unit else value_unit end as delivered_unit,
        case when is_component then component.code else measure_code end as measure,
        -- the lowest or the spread of many values is another thing than a value; an average stands for one
        case
            when descriptive_statistic_code not in ('average', 'median') then ' ' || descriptive_statistic_code
            else ''
        end as statistic,
        -- how far somebody ran is not how far that person went that day, and a nap is not the night
        case
            when activity_code is not null then ' of ' || activity_code
            when not is_main_sleep then ' of nap'
            else ''
        end as occasion
    from valued

),

harmonised as (

    select
        * replace (
            case when {{ is_lifelog('schema_name') }} then {{ lifelog_number('number', 'delivered_unit') }} else number end as number,
            case when {{ is_lifelog('schema_name') }} then {{ lifelog_unit('delivered_unit') }} else delivered_unit end as delivered_unit
        )
    from named

)

select
    case when is_component then {{ surrogate_id(['record_id', 'component_number']) }} else record_id end as record_id,
    person_id,
    person_bucket,
    site,
    'measurement' as event_kind,
    'open_mhealth' as source_system,
    measure || occasion || coalesce(statistic, '') || coalesce(' per ' || statistic_denominator_code, '') as source_code,
    start_date,
    case when start_date is not null then started_at end as start_at,
    case when start_date is not null then {{ local_date('ended_at') }} end as end_date,
    case when start_date is not null then ended_at end as end_at,
    number as value_number,
    {{ ucum_of_open_mhealth('delivered_unit') }} as unit_source_value
from harmonised
where number is not null
