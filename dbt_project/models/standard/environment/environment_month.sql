{% set means = ['so2_ppm', 'co_ppm', 'o3_ppm', 'no2_ppm', 'pm10_ug_m3', 'pm25_ug_m3', 'temperature_c', 'humidity_percent'] %}

-- Means of a month and area, to be joined with people by province of residence and month.
select
    site,
    area_name,
    min(province_code) as province_code,
    cast({{ date_from_parts('year(measured_date)', 'month(measured_date)', 1) }} as date) as month_start_date,
    {% for quantity in means -%}
    avg({{ quantity }}) as {{ quantity }},
    {% endfor -%}
    sum(precipitation_mm) as precipitation_mm,
    count(*) as day_count,
    count(pm25_ug_m3) as pm25_day_count
from {{ ref('environment_day') }}
group by site, area_name, {{ date_from_parts('year(measured_date)', 'month(measured_date)', 1) }}
