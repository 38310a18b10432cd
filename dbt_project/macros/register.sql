{#- on-run-start. The DuckDB database is new with every run; the plugin has registered raw tables and existing models.
    Here: what the selection leaves out but selected models read (views, seeds), and whether the run must be full. -#}
{% macro register_models() -%}
  {%- if execute -%}
    {%- do learn() -%}
    {%- do widen_plan() -%}
    {%- set done, schemas, statements = [], [], [] -%}
    {%- for id in selected_resources if id in graph.nodes -%}
      {%- do register_parents(graph.nodes[id], done, schemas, statements) -%}
    {%- endfor -%}
    {#- one call of the adapter: by itself each of a hundred costs 10 CPU ms -#}
    {%- if statements -%}{%- do run_query(schemas | unique | join(';\n') ~ ';\n' ~ statements | join(';\n')) -%}{%- endif -%}
    {%- do adapter.commit() -%}{#- other threads see only what is committed -#}
  {%- endif -%}
{%- endmacro %}

{#- A person-level model without a table would hold only the touched buckets after this run; then everything is built. -#}
{% macro widen_plan() -%}
  {%- if lake_plan().full -%}{{ return('') }}{%- endif -%}
  {%- set new = [] -%}
  {%- for id in selected_resources if id in graph.nodes -%}
    {%- set node = graph.nodes[id] -%}
    {%- if node.resource_type == 'model' and is_person_level_node(node) and not delta_exists(node) -%}
      {%- do new.append(node.name) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if new or flags.FULL_REFRESH -%}
    {%- do log('every bucket is rebuilt: ' ~ ('--full-refresh' if not new else 'no table yet for ' ~ new | join(', ')), info=true) -%}
    {%- do run_query("update lake.plan set is_full = true") -%}
    {%- do learn() -%}
  {%- endif -%}
{%- endmacro %}

{#- An ephemeral model is always registered: a view rendered here reads it by name. -#}
{% macro is_registered(node, id) -%}
  {{ return(id not in selected_resources or node.config.materialized == 'ephemeral') }}
{%- endmacro %}

{#- Appends SQL to `schemas` and `statements`, each after what it reads. -#}
{% macro register_parents(node, done, schemas, statements) -%}
  {%- for id in node.depends_on.nodes if id in graph.nodes and id not in done and is_registered(graph.nodes[id], id) -%}
    {%- do done.append(id) -%}
    {%- set parent = graph.nodes[id] -%}
    {%- if parent.resource_type == 'seed' -%}
      {%- do register_seed(parent, schemas, statements) -%}
    {%- elif parent.config.materialized in ('view', 'ephemeral') -%}
      {%- do register_parents(parent, done, schemas, statements) -%}
      {%- do register_view(parent, schemas, statements) -%}
    {%- endif -%}
  {%- endfor -%}
{%- endmacro %}

{#- A view that is not selected. Left out where something it reads is neither there nor registered: it fails where it is read. -#}
{% macro register_view(node, schemas, statements) -%}
  {%- for id in node.depends_on.nodes if id in graph.nodes -%}
    {%- set parent = graph.nodes[id] -%}
    {%- if parent.config.materialized == 'delta' and not delta_exists(parent) -%}
      {%- do log(node.name ~ ' is not registered: ' ~ parent.name ~ ' has no table yet', info=true) -%}
      {{ return('') }}
    {%- endif -%}
  {%- endfor -%}
  {%- do schemas.append('create schema if not exists "' ~ node.schema ~ '"') -%}
  {%- do statements.append('create or replace view "' ~ node.schema ~ '"."' ~ (node.alias or node.name) ~ '" as (' ~ render(node.raw_code) ~ '\n)') -%}
{%- endmacro %}

{#- A seed that is not selected, read from its file; types as its column_types say, else as DuckDB finds them. -#}
{% macro register_seed(node, schemas, statements) -%}
  {%- set types = [] -%}
  {%- for name, type in (node.config.get('column_types') or {}).items() -%}
    {%- do types.append("'" ~ name ~ "': '" ~ type ~ "'") -%}
  {%- endfor -%}
  {%- do schemas.append('create schema if not exists "' ~ node.schema ~ '"') -%}
  {%- do statements.append('create or replace view "' ~ node.schema ~ '"."' ~ (node.alias or node.name) ~ '" as select * from read_csv(\'' ~ node.root_path ~ '/' ~ node.original_file_path ~ "', header = true, delim = '" ~ node.config.get('delimiter', ',') ~ "'" ~ (', types = {' ~ types | join(', ') ~ '}' if types else '') ~ ')') -%}
{%- endmacro %}

{#- dbt's ref() and source(), except that a hook may refer to any node: register_view renders models inside one. -#}
{% macro ref() -%}
  {%- if not execute or model is not defined or model.resource_type != 'operation' -%}
    {{ return(builtins.ref(*varargs, **kwargs)) }}
  {%- endif -%}
  {%- for node in graph.nodes.values() if node.name == varargs[-1] and node.resource_type in ('model', 'seed', 'snapshot') -%}
    {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias or node.name)) }}
  {%- endfor -%}
  {{ exceptions.raise_compiler_error('no model or seed ' ~ varargs[-1]) }}
{%- endmacro %}

{% macro source() -%}
  {%- if not execute or model is not defined or model.resource_type != 'operation' -%}
    {{ return(builtins.source(*varargs)) }}
  {%- endif -%}
  {%- for node in graph.sources.values() if node.source_name == varargs[0] and node.name == varargs[1] -%}
    {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.identifier)) }}
  {%- endfor -%}
  {{ exceptions.raise_compiler_error('no source ' ~ varargs | join('.')) }}
{%- endmacro %}
