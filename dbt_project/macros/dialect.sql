{#- Every expression that engines spell differently. A second engine adds `<adapter>__<name>`; models stay as they are. -#}

{#- Cast that fails on a value it cannot hold. -#}
{% macro cast_to(expression, type) -%}
  {{ return(adapter.dispatch('cast_to', 'biodam')(expression, type)) }}
{%- endmacro %}
{% macro default__cast_to(expression, type) -%}
  cast({{ expression }} as {{ type }})
{%- endmacro %}

{#- Cast that gives null on a value it cannot hold; count what it loses. -#}
{% macro try_cast_to(expression, type) -%}
  {{ return(adapter.dispatch('try_cast_to', 'biodam')(expression, type)) }}
{%- endmacro %}
{% macro default__try_cast_to(expression, type) -%}
  try_cast({{ expression }} as {{ type }})
{%- endmacro %}

{#- Calendar day of an instant in UTC. -#}
{% macro utc_date(expression) -%}
  {{ return(adapter.dispatch('utc_date', 'biodam')(expression)) }}
{%- endmacro %}
{% macro default__utc_date(expression) -%}
  cast({{ expression }} as date)
{%- endmacro %}

{#- Whole days from one date to another. -#}
{% macro days_between(start, stop) -%}
  {{ return(adapter.dispatch('days_between', 'biodam')(start, stop)) }}
{%- endmacro %}
{% macro default__days_between(start, stop) -%}
  datediff({{ stop }}, {{ start }})
{%- endmacro %}
{% macro duckdb__days_between(start, stop) -%}
  date_diff('day', {{ start }}, {{ stop }})
{%- endmacro %}

{#- Date from year, month, day; null where any part is, or where no calendar has that day. -#}
{% macro date_from_parts(year, month, day) -%}
  {{ return(adapter.dispatch('date_from_parts', 'biodam')(year, month, day)) }}
{%- endmacro %}
{% macro default__date_from_parts(year, month, day) -%}
  make_date({{ year }}, {{ month }}, {{ day }})
{%- endmacro %}
{% macro duckdb__date_from_parts(year, month, day) -%}
  case when ({{ year }}) between 1 and 9999 then try_cast(({{ year }}) || '-' || ({{ month }}) || '-' || ({{ day }}) as date) end
{%- endmacro %}

{#- One row per element of a list column, as `alias`.`element`. Used in a from clause: `from t, {{ unnest_as('t.codings', 'c') }}`. -#}
{% macro unnest_as(list_expression, alias) -%}
  {{ return(adapter.dispatch('unnest_as', 'biodam')(list_expression, alias)) }}
{%- endmacro %}
{% macro default__unnest_as(list_expression, alias) -%}
  lateral (select explode({{ list_expression }}) as element) as {{ alias }}
{%- endmacro %}
{% macro duckdb__unnest_as(list_expression, alias) -%}
  lateral (select unnest({{ list_expression }}) as element) as {{ alias }}
{%- endmacro %}

{#- True where the whole text has the form of a regular expression. -#}
{% macro matches_whole(expression, pattern) -%}
  {{ return(adapter.dispatch('matches_whole', 'biodam')(expression, pattern)) }}
{%- endmacro %}
{% macro default__matches_whole(expression, pattern) -%}
  {{ expression }} rlike '^({{ pattern }})$'
{%- endmacro %}
{% macro duckdb__matches_whole(expression, pattern) -%}
  regexp_full_match({{ expression }}, '{{ pattern }}')
{%- endmacro %}

{#- The same day so many years later; 29 February becomes 28 February. -#}
{% macro add_years(date, years) -%}
  {{ return(adapter.dispatch('add_years', 'biodam')(date, years)) }}
{%- endmacro %}
{% macro default__add_years(date, years) -%}
  add_months({{ date }}, 12 * {{ years }})
{%- endmacro %}
{% macro duckdb__add_years(date, years) -%}
  cast({{ date }} + to_years({{ years }}) as date)
{%- endmacro %}
