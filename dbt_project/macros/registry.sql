{#- What registries deliver, whatever the wire format: the families have the same tables (a test keeps them equal). -#}

{#- Type concept "Case Report Form". -#}
{% macro case_report_type() -%}32809{%- endmacro %}
