{#- What models of death have in common. -#}

{#- A day as a number that can be compared where parts of it are unknown (0): 20240229. -#}
{% macro day_number(year, month, day) -%}
  (({{ year }}) * 10000 + ({{ month }}) * 100 + ({{ day }}))
{%- endmacro %}

{#- Whether a record of a person tells why they died. -#}
{% macro names_cause() -%}
  ((cause_source_value is not null or coalesce(cause_concept_id, 0) > 0) and not is_before_birth)
{%- endmacro %}

{#- Staging models whose rows may say that a person died. -#}
{% macro tellers_of_death() -%}
  {{ return([
    'stg_fhir__patients', 'stg_ccda__patients', 'stg_synthea_csv__patients', 'stg_emr_csv__patients', 'stg_omop__deaths',
    'int_claim_persons__bounded', 'stg_hl7_v2__patients', 'stg_death_registry__deaths'
  ]) }}
{%- endmacro %}
