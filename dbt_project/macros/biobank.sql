{#- Samples of a biobank. The only place where amounts are converted: whole factors to nanolitre and picogram, in decimals, so that
    sums are exact. Units are those of UCUM; letters of either case, and both signs for micro, are the same unit. -#}
{% macro sample_units() -%}
  {{ return({
      'volume': {'nl': '1', 'ul': '1000', 'ml': '1000000', 'l': '1000000000'},
      'mass': {'pg': '1', 'ng': '1000', 'ug': '1000000', 'mg': '1000000000', 'g': '1000000000000'},
  }) }}
{%- endmacro %}

{% macro _unit_key(unit) -%}
  lower(replace(replace(trim({{ unit }}), 'µ', 'u'), 'μ', 'u'))
{%- endmacro %}

{#- What a unit measures: volume or mass; null where it is unknown. -#}
{% macro sample_dimension(unit) -%}
  case
    {%- for dimension, factors in biodam.sample_units().items() %}
    when {{ biodam._unit_key(unit) }} in ('{{ factors.keys() | join("', '") }}') then '{{ dimension }}'
    {%- endfor %}
  end
{%- endmacro %}

{#- An amount in nL or pg, decimal(31,6); null where the unit is unknown or the number has no place in a decimal. -#}
{% macro sample_amount(amount, unit) -%}
  {{ try_cast_to(amount, 'decimal(18,6)') }} * case {{ biodam._unit_key(unit) }}
    {%- for factors in biodam.sample_units().values() %}{% for name, factor in factors.items() %}
    when '{{ name }}' then cast({{ factor }} as decimal(13,0))
    {%- endfor %}{% endfor %}
  end
{%- endmacro %}

{#- Concentration in ng/uL; null where the unit is unknown. -#}
{% macro concentration_ng_ul(concentration, unit) -%}
  {{ concentration }} * case {{ biodam._unit_key(unit) }}
    when 'ng/ul' then 1 when 'ug/ml' then 1 when 'ug/ul' then 1000 when 'mg/ml' then 1000 when 'pg/ul' then 0.001 when 'ng/ml' then 0.001
  end
{%- endmacro %}

{#- The closed list of what can be wrong with a sample: code -> what it means. Rows are flagged, never dropped. -#}
{% macro sample_findings() -%}
  {{ return({
      'parent_unknown': 'no sample of the donor has the number it was taken from',
      'parent_cycle': 'it descends from itself, or from such a one',
      'parent_ambiguous': 'a specimen and an aliquot of the donor have the number it was taken from',
      'made_before_parent': 'it is older than the sample it was taken from',
      'negative_amount': 'an amount or concentration of it, or of an event, is below zero',
      'amount_not_comparable': 'amounts are in units of different kinds, in an unknown unit, or too large',
      'amount_not_conserved': 'what is left, was taken, used and disposed of is not what there was',
      'custody_gap': 'it was given away by somebody who did not have it',
      'custody_overlap': 'somebody gave it away twice, or two hold it since one instant',
      'event_after_disposal': 'it was thawed, used or handed over after all of it was disposed of',
  }) }}
{%- endmacro %}
