{#- Korean area codes: ten digits, province 2, district 3, town 3, village 2. -#}

{#- province, district, town or village, by which digits are zero. -#}
{% macro area_level(area_code) -%}
  case
    when substr({{ area_code }}, 3) = '00000000' then 'province'
    when substr({{ area_code }}, 6) = '00000' then 'district'
    when substr({{ area_code }}, 9) = '00' then 'town'
    else 'village'
  end
{%- endmacro %}

{#- The area of a level in which a code lies: its digits, the others zero. -#}
{% macro area_at_level(area_code, level) -%}
  case {{ level }}
    when 'province' then substr({{ area_code }}, 1, 2) || '00000000'
    when 'district' then substr({{ area_code }}, 1, 5) || '00000'
    when 'town' then substr({{ area_code }}, 1, 8) || '00'
    else {{ area_code }}
  end
{%- endmacro %}
