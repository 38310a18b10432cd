{% set emissions = ['co_kg', 'nox_kg', 'sox_kg', 'tsp_kg', 'pm10_kg', 'pm25_kg', 'black_carbon_kg', 'voc_kg', 'nh3_kg'] %}

select
    site,
    area_text,
    year,
    population_count,
    birth_count,
    death_count,
    {% for emission in emissions %}cast(null as double) as {{ emission }}{% if not loop.last %}, {% endif %}{% endfor %}
from {{ raw_rows('public_statistics', 'vital_statistic') }} as vital

union all

select
    site,
    area_text,
    year,
    null as population_count,
    null as birth_count,
    null as death_count,
    {{ emissions | join(', ') }}
from {{ raw_rows('public_statistics', 'emission') }} as emission
