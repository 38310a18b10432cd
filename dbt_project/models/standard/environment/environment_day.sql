{% set quantities = [
    'so2_ppm', 'co_ppm', 'o3_ppm', 'no2_ppm', 'pm10_ug_m3', 'pm25_ug_m3', 'temperature_c', 'temperature_range_c', 'precipitation_mm',
    'humidity_percent'
] %}

-- Stations of an area are averaged. An area that is a province, by name or by code of any time, has its present code.
select
    day.site,
    coalesce(day.area_text, 'KR') as area_name,
    coalesce(min(named.current_province_code), min(coded.current_province_code)) as province_code,
    day.measured_date,
    {% for quantity in quantities -%}
    avg(day.{{ quantity }}) as {{ quantity }},
    {% endfor -%}
    count(*) as source_rows
from {{ ref('stg_air_quality__days') }} as day
left join {{ ref('province_name') }} as named on named.written_name = lower(trim(day.area_text))
left join {{ ref('province') }} as coded on coded.province_code = day.area_text
group by day.site, coalesce(day.area_text, 'KR'), day.measured_date
