{#- UCUM code of a unit as Open mHealth and IEEE 1752 write it; units they write as UCUM does stay as they are.
    Their C and F are degrees; in UCUM they are coulomb and farad. -#}
{% macro ucum_of_open_mhealth(unit) -%}
  case {{ unit }}
    when 'C' then 'Cel'
    when 'F' then '[degF]'
    when 'lb' then '[lb_av]'
    when 'oz' then '[oz_av]'
    when 'in' then '[in_i]'
    when 'ft' then '[ft_i]'
    when 'yd' then '[yd_i]'
    when 'mi' then '[mi_i]'
    when 'beats/min' then '/min'
    when 'breaths/min' then '/min'
    when 'count/min' then '/min'
    when 'count/s' then '/s'
    when 'degC' then 'Cel'
    when 'degF' then '[degF]'
    when 'Cal' then 'kcal'
    when 'mcg' then 'ug'
    when 'km/hr' then 'km/h'
    when 'mi/hr' then '[mi_i]/h'
    when 'mmHg' then 'mm[Hg]'
    when 'kg/m^2' then 'kg/m2'
    when 'sec' then 's'
    when 'Mo' then 'mo'
    when 'yr' then 'a'
    when 'steps' then '{steps}'
    when 'count' then '{count}'
    when 'awakenings' then '{awakenings}'
    when 'episodes' then '{episodes}'
    when 'laps' then '{laps}'
    when 'skips' then '{skips}'
    when 'movements' then '{movements}'
    when 'strokes' then '{strokes}'
    when 'steps/min' then '{steps}/min'
    when 'laps/min' then '{laps}/min'
    when 'skips/min' then '{skips}/min'
    when 'movements/min' then '{movements}/min'
    when 'strokes/min' then '{strokes}/min'
    when 'strokes/lap' then '{strokes}/{lap}'
    when 'MET' then '[MET]'
    else {{ unit }}
  end
{%- endmacro %}


{#- Schemas of sleep and physical activity: no concept gives their numbers a unit, so they are told in min, m and m/s here.
    Months and years have no fixed length and stay as they are. -#}
{% macro is_lifelog(schema_name) -%}
  {{ schema_name }} in (
    'physical-activity', 'hk-workout', 'sleep-episode', 'sleep-duration', 'total-sleep-time', 'time-in-bed', 'sleep-stage-summary'
  )
{%- endmacro %}

{% macro lifelog_number(number, unit) -%}
  case {{ unit }}
    when 'ms' then {{ number }} / 60000
    when 'sec' then {{ number }} / 60
    when 'h' then {{ number }} * 60
    when 'd' then {{ number }} * 1440
    when 'wk' then {{ number }} * 10080
    when 'mm' then {{ number }} / 1000
    when 'cm' then {{ number }} / 100
    when 'km' then {{ number }} * 1000
    when 'in' then {{ number }} * 0.0254
    when 'ft' then {{ number }} * 0.3048
    when 'yd' then {{ number }} * 0.9144
    when 'mi' then {{ number }} * 1609.344
    when 'km/h' then {{ number }} / 3.6
    else {{ number }}
  end
{%- endmacro %}

{% macro lifelog_unit(unit) -%}
  case
    when {{ unit }} in ('ms', 'sec', 'h', 'd', 'wk') then 'min'
    when {{ unit }} in ('mm', 'cm', 'km', 'in', 'ft', 'yd', 'mi') then 'm'
    when {{ unit }} = 'km/h' then 'm/s'
    else {{ unit }}
  end
{%- endmacro %}
