{% set items = {
    'so2_ppm': 'SO2', 'co_ppm': 'CO', 'o3_ppm': 'O3', 'no2_ppm': 'NO2', 'pm10_ug_m3': 'PM10', 'pm25_ug_m3': 'PM25',
    'temperature_c': 'TEMPERATURE', 'precipitation_mm': 'PRECIPITATION', 'humidity_percent': 'HUMIDITY'
} %}

select
    site,
    area_text,
    station_text,
    measured_date,
    {% for column in items %}{{ column }}, {% endfor %}
    temperature_range_c
from {{ raw_rows('air_quality', 'daily_mean') }} as day

union all

select
    site,
    area_text,
    station_text,
    measured_date,
    {% for column, item in items.items() -%}
    max(reading_value) filter (where upper(replace(item_code, '.', '')) = '{{ item }}') as {{ column }},
    {% endfor -%}
    null as temperature_range_c
from {{ raw_rows('air_quality', 'reading') }} as reading
group by site, area_text, station_text, measured_date
