{#- Expressions that bring many sources into one shape. Those that engines spell differently are dispatched. -#}

{#- Calendar day of an instant on the site's own clock; `site` must be in scope. A visit at 08:00 in Seoul is the day before in UTC.
    One branch per time zone, each with a constant zone: a zone per row costs eight times as much. -#}
{% macro local_date(expression, site='site') -%}
  {%- set zones = site_zones() -%}
  {%- if zones | length == 0 -%}{{ return(utc_date(expression)) }}{%- endif -%}
  case
    {%- for zone, sites in zones.items() %}
    when {{ site }} in ({{ sites }}) then {{ date_at_zone(expression, zone) }}
    {%- endfor %}
    else {{ utc_date(expression) }}
  end
{%- endmacro %}

{#- Time zone -> its sites as a quoted list; UTC sites are left out. Asked once a run and kept in dbt's graph: a query for each
    date of each model costs a second. -#}
{% macro site_zones() -%}
  {%- if not execute -%}{{ return({}) }}{%- endif -%}
  {%- if 'site_zones' not in graph -%}
    {%- set zones = {} -%}
    {%- for zone, site in run_query("select time_zone, site from reference.site where time_zone <> 'UTC' order by 1, 2").rows -%}
      {%- do zones.update({zone: (zones[zone] ~ ", " if zone in zones else "") ~ "'" ~ site ~ "'"}) -%}
    {%- endfor -%}
    {%- do graph.update({'site_zones': zones}) -%}
  {%- endif -%}
  {{ return(graph['site_zones']) }}
{%- endmacro %}

{% macro date_at_zone(expression, zone) -%}
  {{ return(adapter.dispatch('date_at_zone', 'biodam')(expression, zone)) }}
{%- endmacro %}
{% macro default__date_at_zone(expression, zone) -%}
  to_date(from_utc_timestamp({{ expression }}, '{{ zone }}'))
{%- endmacro %}
{% macro duckdb__date_at_zone(expression, zone) -%}
  cast(({{ expression }}) at time zone '{{ zone }}' as date)
{%- endmacro %}

{#- `date` moved by a number of days. -#}
{% macro add_days(date, days) -%}
  {{ return(adapter.dispatch('add_days', 'biodam')(date, days)) }}
{%- endmacro %}
{% macro default__add_days(date, days) -%}
  date_add({{ date }}, cast({{ days }} as integer))
{%- endmacro %}
{% macro duckdb__add_days(date, days) -%}
  ({{ date }} + cast({{ days }} as integer))
{%- endmacro %}

{#- Days a supply or a stay lasts: whole days from 1 to 36,500 (a hundred years), else null. Whatever is further off is no length of time but a mistake
    of the sender, and a date moved by it lies in no calendar. Null where not told. -#}
{% macro plausible_days(days) -%}
  case when round({{ days }}) between 1 and 36500 then cast(round({{ days }}) as integer) end
{%- endmacro %}

{#- A year in which a patient can have lived, as the door has it for dates (assets/formats/dates.py), else null. -#}
{% macro plausible_year(year) -%}
  case when {{ year }} between 1850 and 2300 then {{ year }} end
{%- endmacro %}

{#- An amount that OMOP can hold as a number of units (INTEGER in some of its tables), else null: neither infinite nor beyond 2^31 - 1. -#}
{% macro plausible_quantity(quantity) -%}
  case when {{ quantity }} between -2147483647 and 2147483647 then {{ quantity }} end
{%- endmacro %}

{#- Was something told that cannot stand? -#}
{% macro is_lost(told, kept) -%}
  ({{ told }} is not null and {{ kept }} is null)
{%- endmacro %}

{#- Identifier in [0, 2^63) made of other identifiers: stable over engines, versions and row order. -#}
{% macro surrogate_id(parts) -%}
  {{ return(adapter.dispatch('surrogate_id', 'biodam')(parts)) }}
{%- endmacro %}
{% macro _joined(parts) -%}
  {%- for part in parts %}coalesce(cast({{ part }} as varchar), ''){% if not loop.last %} || '/' || {% endif %}{% endfor -%}
{%- endmacro %}
{% macro default__surrogate_id(parts) -%}
  shiftright(cast(conv(substr(md5({{ biodam._joined(parts) }}), 1, 16), 16, -10) as bigint), 1) & 9223372036854775807
{%- endmacro %}
{% macro duckdb__surrogate_id(parts) -%}
  cast(md5_number_upper({{ biodam._joined(parts) }}) >> 1 as bigint)
{%- endmacro %}

{#- A code as the one-element list of codings that FHIR sources deliver. -#}
{% macro codings_of(system, code) -%}
  {{ return(adapter.dispatch('codings_of', 'biodam')(system, code)) }}
{%- endmacro %}
{% macro default__codings_of(system, code) -%}
  array(named_struct('system', {{ system }}, 'code', {{ code }}))
{%- endmacro %}
{% macro duckdb__codings_of(system, code) -%}
  [{'system': {{ system }}, 'code': {{ code }}}]
{%- endmacro %}

{#- A code and its alternate (HL7 CE, CWE) as a list of codings; a code that is left out leaves its place to the alternate. -#}
{% macro codings_of_two(system, code, alternate_system, alternate_code) -%}
  {{ return(adapter.dispatch('codings_of_two', 'biodam')(system, code, alternate_system, alternate_code)) }}
{%- endmacro %}
{% macro default__codings_of_two(system, code, alternate_system, alternate_code) -%}
  array(
    named_struct('system', case when {{ code }} is null then {{ alternate_system }} else {{ system }} end, 'code', coalesce({{ code }}, {{ alternate_code }})),
    named_struct('system', {{ alternate_system }}, 'code', {{ alternate_code }})
  )
{%- endmacro %}
{% macro duckdb__codings_of_two(system, code, alternate_system, alternate_code) -%}
  [
    {'system': case when {{ code }} is null then {{ alternate_system }} else {{ system }} end, 'code': coalesce({{ code }}, {{ alternate_code }})},
    {'system': {{ alternate_system }}, 'code': {{ alternate_code }}}
  ]
{%- endmacro %}

{#- Element of a list column, counted from 1; null beyond its end. -#}
{% macro list_element(list, ordinal) -%}
  {{ return(adapter.dispatch('list_element', 'biodam')(list, ordinal)) }}
{%- endmacro %}
{% macro default__list_element(list, ordinal) -%}
  try_element_at({{ list }}, {{ ordinal }})
{%- endmacro %}
{% macro duckdb__list_element(list, ordinal) -%}
  {{ list }}[{{ ordinal }}]
{%- endmacro %}

{#- Number of elements of a list column; null where the list is. -#}
{% macro list_length(list) -%}
  {{ return(adapter.dispatch('list_length', 'biodam')(list)) }}
{%- endmacro %}
{% macro default__list_length(list) -%}
  size({{ list }})
{%- endmacro %}
{% macro duckdb__list_length(list) -%}
  len({{ list }})
{%- endmacro %}

{#- Why a field of a row holds no value, out of its list of (field, reason). -#}
{% macro missing_reason(list, field) -%}
  {{ return(adapter.dispatch('missing_reason', 'biodam')(list, field)) }}
{%- endmacro %}
{% macro default__missing_reason(list, field) -%}
  try_element_at(filter({{ list }}, m -> m.system = '{{ field }}'), 1).code
{%- endmacro %}
{% macro duckdb__missing_reason(list, field) -%}
  list_filter({{ list }}, lambda m: m.system = '{{ field }}')[1].code
{%- endmacro %}

{#- In a select list: one row for each number from `first` to the length of the list. -#}
{% macro ordinals(list, first=1) -%}
  {{ return(adapter.dispatch('ordinals', 'biodam')(list, first)) }}
{%- endmacro %}
{% macro default__ordinals(list, first) -%}
  explode(filter(sequence(0, coalesce(size({{ list }}), 0)), x -> x >= {{ first }}))
{%- endmacro %}
{% macro duckdb__ordinals(list, first) -%}
  unnest(range({{ first }}, coalesce(len({{ list }}), 0) + 1))
{%- endmacro %}

{#- Rows of several relations under each other; a column that a relation lacks is null there. -#}
{% macro union_by_name(models) -%}
  {{ return(adapter.dispatch('union_by_name', 'biodam')(models)) }}
{%- endmacro %}
{% macro duckdb__union_by_name(models) -%}
  {%- for model in models %}
  select * from {{ ref(model) }}
  {%- if not loop.last %}
  union all by name
  {%- endif %}
  {%- endfor %}
{%- endmacro %}

{#- Codings with those first whose vocabulary is itself standard in OMOP; else in the order of the source. -#}
{% macro standard_first(codings) -%}
  {{ return(adapter.dispatch('standard_first', 'biodam')(codings)) }}
{%- endmacro %}
{% macro _standard_systems() -%}
  ('http://snomed.info/sct', 'http://loinc.org', 'http://www.nlm.nih.gov/research/umls/rxnorm', 'http://hl7.org/fhir/sid/cvx',
   'urn:oid:2.16.840.1.113883.6.96', 'urn:oid:2.16.840.1.113883.6.1', 'urn:oid:2.16.840.1.113883.6.88', 'urn:oid:2.16.840.1.113883.12.292')
{%- endmacro %}
{% macro default__standard_first(codings) -%}
  concat(
    filter({{ codings }}, c -> c.system in {{ biodam._standard_systems() }}),
    filter({{ codings }}, c -> not coalesce(c.system in {{ biodam._standard_systems() }}, false))
  )
{%- endmacro %}
{% macro duckdb__standard_first(codings) -%}
  case
    when coalesce(len({{ codings }}), 0) < 2 then {{ codings }} -- null stays null: list_concat would make it an empty list
    else list_concat(
      list_filter({{ codings }}, lambda c: c.system in {{ biodam._standard_systems() }}),
      list_filter({{ codings }}, lambda c: not coalesce(c.system in {{ biodam._standard_systems() }}, false))
    )
  end
{%- endmacro %}

{#- A code as it is looked up. Classifications and product codes arrive with and without dots, dashes, blanks and capitals
    (E11.9 = E119 = e11.9); an agency masks digits of KCD with _ or * (E11_ = E11); other codes are exact. -#}
{% macro code_key(vocabulary, code) -%}
  case
    when {{ vocabulary }} in ('KCD', 'KCD7')
      then upper(replace(replace(replace(replace(replace({{ code }}, '.', ''), '-', ''), ' ', ''), '_', ''), '*', ''))
    when {{ vocabulary }} in ('ICD10', 'ICD10CM', 'ICD9CM', 'ATC', 'EDI', 'NDC')
      then upper(replace(replace(replace({{ code }}, '.', ''), '-', ''), ' ', ''))
    else trim({{ code }})
  end
{%- endmacro %}

{#- Whether a source's name of a code system is the short name that a site file gives it: `lab` stands for urn:biodam:h11:lab. -#}
{% macro is_site_system(system, short_name) -%}
  ({{ system }} = {{ short_name }} or {{ system }} like '%:' || {{ short_name }} or {{ system }} like '%/' || {{ short_name }})
{%- endmacro %}

{#- Joins that look up coding number `n` of `events`, and only where the codings before it found nothing: in the hospital's own
    code map (own_<n>), then in the vocabularies (code_<n>). -#}
{% macro join_codes(n) -%}
  {%- set code = 'events.code_' ~ n if n == 1 else 'case when ' ~ found_concept(n - 1) ~ ' is null then events.code_' ~ n ~ ' end' -%}
  left join {{ ref('code_system') }} as system_{{ n }} on system_{{ n }}.source_system = events.system_{{ n }}
  left join {{ ref('int_site_codes__mapped') }} as own_{{ n }}
    on own_{{ n }}.site = events.site
    and own_{{ n }}.source_code = {{ code }}
    and {{ is_site_system('events.system_' ~ n, 'own_' ~ n ~ '.source_system') }}
  left join {{ ref('int_codes__mapped') }} as code_{{ n }}
    on code_{{ n }}.vocabulary_id = case when coalesce(own_{{ n }}.concept_id, 0) = 0 then system_{{ n }}.vocabulary_id end
    and code_{{ n }}.code_key = {{ code_key('system_' ~ n ~ '.vocabulary_id', code) }}
{%- endmacro %}

{#- Standard concept that codings 1 to `n` found, null where they found none. -#}
{% macro found_concept(n) -%}
  coalesce(
  {%- for i in range(1, n + 1) %}nullif(own_{{ i }}.concept_id, 0), nullif(code_{{ i }}.concept_id, 0){% if not loop.last %}, {% endif %}{% endfor -%}
  )
{%- endmacro %}

{#- OMOP table of an event: by the domain of its standard concept; without one, by the kind of its source.
    An allergy to a drug is never an exposure to it. -#}
{% macro omop_table(kind, domain, value_number) -%}
  case
    when {{ kind }} = 'allergy' then 'observation'
    when {{ kind }} = 'device' then 'device_exposure'
    when {{ kind }} = 'specimen' then 'specimen'
    when {{ domain }} = 'Condition' then 'condition_occurrence'
    when {{ domain }} = 'Drug' then 'drug_exposure'
    when {{ domain }} = 'Procedure' then 'procedure_occurrence'
    when {{ domain }} = 'Measurement' then 'measurement'
    when {{ domain }} = 'Observation' then 'observation'
    when {{ domain }} = 'Device' then 'device_exposure'
    when {{ kind }} = 'condition' then 'condition_occurrence'
    when {{ kind }} in ('drug', 'immunization') then 'drug_exposure'
    when {{ kind }} = 'procedure' then 'procedure_occurrence'
    when {{ kind }} = 'measurement' or {{ value_number }} is not null then 'measurement'
    else 'observation'
  end
{%- endmacro %}

{#- Type concept "EHR", for records whose source states no type. -#}
{% macro ehr_type() -%}32817{%- endmacro %}

{#- Why a record cannot stand in an OMOP table, null where it can: the source says it did not happen; it has no usable day;
    no record with a birth year tells who the person is. -#}
{% macro set_aside_reason(is_negated, date, known_person) -%}
  case
    when {{ is_negated }} then 'negated'
    when {{ date }} is null then 'no_date'
    when {{ known_person }} is null then 'no_person'
  end
{%- endmacro %}

{#- A table of an Athena vocabulary export as `biodam vocabulary load` keeps it; empty where none was loaded.
    columns: name -> type, as OMOP CDM 5.4 has them. -#}
{% macro athena_rows(table, columns) -%}
  {%- set relation = source('reference', 'athena_' ~ table) -%}
  {%- set loaded = execute and run_query("select count(*) from information_schema.tables where table_schema = 'reference' and table_name = 'athena_" ~ table ~ "'").rows[0][0] > 0 -%}
  select
  {%- for name, type in columns.items() %}
    {{ 'cast(' ~ (name if loaded else 'null') ~ ' as ' ~ type ~ ') as ' ~ name }}{% if not loop.last %},{% endif %}
  {%- endfor %}
  {% if loaded %}from {{ relation }}{% else %}where false{% endif %}
{%- endmacro %}

{#- Concept "Allergy to drug" (SNOMED 416098002); the drug is then the value. -#}
{% macro allergy_to_drug() -%}439224{%- endmacro %}

{#- Identifier of a place that is known by province or state and country only; null where neither is known. -#}
{% macro place_id(state, country) -%}
  case
    when {{ state }} is not null or {{ country }} is not null then {{ surrogate_id(["'place'", state, country]) }}
  end
{%- endmacro %}
