{#- What models of death have in common. -#}

{#- A day as a number that can be compared where parts of it are unknown (0): 20240229. A month or day that no calendar has is unknown. -#}
{% macro day_number(year, month, day) -%}
  (
    cast({{ year }} as bigint) * 10000
    + case when {{ month }} between 1 and 12 then {{ month }} else 0 end * 100
    + case when {{ day }} between 1 and 31 then {{ day }} else 0 end
  )
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
