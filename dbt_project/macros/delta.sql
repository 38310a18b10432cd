{#- `materialized: delta`: the model's query is streamed into the Delta table tables/<schema>/<model> by the plugin
    (assets/lake/dbt_store.py), in one commit or none; in DuckDB the model is a view pinned to that version.

    Config: partition_by='person_bucket' marks a person-level model: only touched buckets are replaced, unless the run is
    full, --full-refresh is given or the table is new. Every other model is written whole. packed=true keeps the few rows a bucket of such a model
    in one file instead of one a bucket: touched buckets are still all that is computed, the rows of the others are copied.
    Enforced contracts fix names, order and types; `not_null` constraints, of columns or model, are checked on every row. -#}
{% materialization delta, adapter='duckdb', supported_languages=['sql'] %}
  {%- set target_relation = this.incorporate(type='view') -%}
  {%- set enforced = config.get('contract').enforced -%}
  {%- set packed = config.get('packed', false) -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- if enforced -%}{%- do get_assert_columns_equivalent(compiled_code) -%}{%- endif -%}
  {%- do adapter.commit() -%}{#- the plugin's own cursor sees only what is committed -#}

  {%- do adapter.store_relation('lake', target_relation, [], delta_key(model), 'delta', {
      'unique_id': model.unique_id,
      'sql': compiled_code if not packed else with_other_buckets(compiled_code),
      'partition_by': [] if packed else partition_columns(model),
      'replace': is_incremental() and not packed,
      'force': should_full_refresh(),
      'columns': model.columns.values() | map(attribute='name') | list if enforced else [],
      'required': required_columns(model) if enforced else [],
      'upstream': upstream_state(model),
      'description': model.description,
  }) -%}

  {%- set done = run_query("select version, strategy, rows_written from lake.model_version where table_schema = '" ~ this.schema ~ "' and table_name = '" ~ this.identifier ~ "'").rows[0] -%}
  {%- do store_raw_result(name='main', message=(done[1] ~ ' v' ~ done[0]), code='OK', rows_affected=(done[2] | int)) -%}
  {%- do persist_docs(target_relation, model) -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do adapter.commit() -%}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- True where the model replaces only the buckets the run touches. dbt's own macro knows only `incremental` models. -#}
{% macro is_incremental() -%}
  {%- if not execute -%}{{ return(false) }}{%- endif -%}
  {%- if model.config.materialized != 'delta' -%}{{ return(dbt.is_incremental()) }}{%- endif -%}
  {{ return(is_person_level_node(model) and not should_full_refresh() and delta_exists(model) and not lake_plan().full) }}
{%- endmacro %}

{#- The rows of a packed model: those of touched buckets as its query makes them, those of the others as they stand. -#}
{% macro with_other_buckets(sql) -%}
  {%- if not is_incremental() -%}{{ return(sql) }}{%- endif -%}
  {{ return('select * from (' ~ sql ~ '\n) as made union all by name select * from ' ~ this ~ ' where not (' ~ touched() ~ ')') }}
{%- endmacro %}

{#- Key of a model's table, also its path below LAKE_ROOT/tables. -#}
{% macro delta_key(node) -%}
  {{ return(node.schema ~ '/' ~ (node.alias or node.name)) }}
{%- endmacro %}

{#- Had the model a table when the build began? -#}
{% macro delta_exists(node) -%}
  {{ return(delta_key(node) in known().tables) }}
{%- endmacro %}

{% macro partition_columns(node) -%}
  {%- set columns = node.config.get('partition_by') -%}
  {{ return([] if not columns else ([columns] if columns is string else columns | list)) }}
{%- endmacro %}

{% macro is_person_level_node(node) -%}
  {{ return(partition_columns(node) == ['person_bucket']) }}
{%- endmacro %}

{#- Columns with a not_null constraint, stated at the column or at the model. -#}
{% macro required_columns(node) -%}
  {%- set found = [] -%}
  {%- for column in node.columns.values() -%}
    {%- for constraint in column.constraints or [] if constraint.type == 'not_null' or constraint.type == 'primary_key' -%}
      {%- do found.append(column.name) -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- for constraint in node.constraints or [] if constraint.type == 'not_null' or constraint.type == 'primary_key' -%}
    {%- do found.extend(constraint.columns) -%}
  {%- endfor -%}
  {{ return(found | unique | list) }}
{%- endmacro %}

{#- `key checksum` of everything the model reads, views included: a build that repeats a batch must see that they changed.
    The list grows while the loop walks it; a macro call per ancestor would cost more than the write of a small model. -#}
{% macro upstream_state(node) -%}
  {%- set found = [] -%}
  {%- set ids = node.depends_on.nodes | list -%}
  {%- for id in ids -%}
    {%- set parent = graph.nodes.get(id) -%}
    {%- if parent -%}
      {%- do found.append(parent.schema ~ '/' ~ (parent.alias or parent.name) ~ ' ' ~ parent.checksum.checksum) -%}
      {%- for above in parent.depends_on.nodes if above not in ids -%}{%- do ids.append(above) -%}{%- endfor -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(found) }}
{%- endmacro %}
