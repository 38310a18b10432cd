{% set counts = ['population_count', 'birth_count', 'death_count'] %}
{% set emissions = ['co_kg', 'nox_kg', 'sox_kg', 'tsp_kg', 'pm10_kg', 'pm25_kg', 'black_carbon_kg', 'voc_kg', 'nh3_kg'] %}

-- What statistics tell of an area's year. A province has its present code, whatever the table calls it.
select
    told.site,
    coalesce(told.area_text, 'KR') as area_name,
    min(named.current_province_code) as province_code,
    told.year,
    {% for column in counts + emissions -%}
    max(told.{{ column }}) as {{ column }}{% if not loop.last %},{% endif %}
    {% endfor %}
from {{ ref('stg_public_statistics__years') }} as told
left join {{ ref('province_name') }} as named on named.written_name = lower(trim(told.area_text))
group by told.site, coalesce(told.area_text, 'KR'), told.year
