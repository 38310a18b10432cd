{#- Measurements of a population biobank: column -> (UK Biobank field, unit). One place for both ways out: events and the wide table. -#}
{% macro participant_measures() -%}
  {{ return({
      'bmi_kg_m2': ('21001', 'kg/m2'),
      'weight_kg': ('21002', 'kg'),
      'height_cm': ('50', 'cm'),
      'hip_circumference_cm': ('49', 'cm'),
      'pulse_rate_per_min': ('102', '/min'),
      'systolic_mmhg': ('4080', 'mm[Hg]'),
      'diastolic_mmhg': ('4079', 'mm[Hg]'),
      'platelets_10_9_l': ('30080', '10*9/L'),
      'leukocytes_10_9_l': ('30000', '10*9/L'),
      'lymphocytes_10_9_l': ('30120', '10*9/L'),
      'monocytes_10_9_l': ('30130', '10*9/L'),
      'neutrophils_10_9_l': ('30140', '10*9/L'),
      'eosinophils_10_9_l': ('30150', '10*9/L'),
      'basophils_10_9_l': ('30160', '10*9/L'),
      'hdl_mmol_l': ('30760', 'mmol/L'),
      'ldl_mmol_l': ('30780', 'mmol/L'),
      'cholesterol_mmol_l': ('30690', 'mmol/L'),
      'triglycerides_mmol_l': ('30870', 'mmol/L'),
      'sleep_hours': ('1160', 'h'),
  }) }}
{%- endmacro %}
