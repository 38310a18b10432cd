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
    when 'mmHg' then 'mm[Hg]'
    when 'kg/m^2' then 'kg/m2'
    when 'sec' then 's'
    when 'Mo' then 'mo'
    when 'yr' then 'a'
    when 'steps' then '{steps}'
    when 'count' then '{count}'
    when 'awakenings' then '{awakenings}'
    else {{ unit }}
  end
{%- endmacro %}
