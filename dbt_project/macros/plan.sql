{#- What the run rebuilds. Read from the plan (control/plan.json, loaded by the plugin as lake.plan) at execution time only:
    passing it through --vars would break partial parsing. -#}

{#- The plan as {as_of, full, buckets, source_buckets}: SQL texts, buckets none where everything is rebuilt. -#}
{% macro lake_plan() -%}
  {%- if not execute -%}
    {{ return({'as_of': "date '1970-01-01'", 'full': true, 'buckets': none, 'source_buckets': none}) }}
  {%- endif -%}
  {{ return(known().plan) }}
{%- endmacro %}

{#- What the plugin knows of the lake as the build found it: plan, tables of models, contract columns. Asked once a build and kept beside
    dbt's own graph, which all nodes share: 300 questions of 8 CPU ms each were a sixth of a small build. -#}
{% macro known() -%}
  {%- if 'lake' not in graph -%}{%- do learn() -%}{%- endif -%}
  {{ return(graph['lake']) }}
{%- endmacro %}

{% macro learn() -%}
  {%- set row = run_query("select as_of_sql, is_full, buckets_sql, source_buckets_sql from lake.plan").rows[0] -%}
  {%- set full = row[1] -%}
  {%- set plan = {'as_of': row[0], 'full': full, 'buckets': none if full else row[2], 'source_buckets': none if full else row[3]} -%}
  {%- set tables = [] -%}
  {%- for schema, name in run_query("select table_schema, table_name from lake.model_version").rows -%}
    {%- do tables.append(schema ~ '/' ~ name) -%}
  {%- endfor -%}
  {%- set columns = {} -%}
  {%- for family, entity, name in run_query("select family, entity, column_name from lake.raw_column order by family, entity, position").rows -%}
    {%- do columns.setdefault(family ~ '/' ~ entity, []).append(name) -%}
  {%- endfor -%}
  {%- do graph.update({'lake': {'plan': plan, 'tables': tables, 'columns': columns}}) -%}
{%- endmacro %}

{#- Predicate on `alias`.person_bucket: the buckets this run rebuilds. Literals, so that the scan skips other files.
    The plan writes each list with its bounds, `# between 3 and 47 and # in (3, 47)`: only bounds reach Delta's own pruning. -#}
{% macro touched(alias=none) -%}
  {{ return(bucket_predicate(lake_plan().buckets, alias)) }}
{%- endmacro %}

{% macro bucket_predicate(template, alias=none, column='person_bucket') -%}
  {%- set column = column if alias is none else alias ~ '.' ~ column -%}
  {{ return('true' if template is none else template | replace('#', column)) }}
{%- endmacro %}

{#- The day for which the run computes ages, open intervals and the like. Never use now() or current_date. -#}
{% macro as_of() -%}
  {{ return(lake_plan().as_of) }}
{%- endmacro %}
