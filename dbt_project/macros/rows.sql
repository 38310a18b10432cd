{#- The only doors to raw rows.
      consented_rows    person-level tables: what a model may read of people
      unconsented_rows  the same without consent, for the consent relation itself and nothing else
      raw_rows          tables that hold no people
      person_ref        person-level models, limited to what this run rebuilds
    Each yields a bracketed subquery: `from {{ consented_rows('fhir', 'condition', event_date='onset_at') }} as c`. -#}

{#- One row per (site, record_id): the newest version that was not taken back, of people on whose consent it stands.

    Columns: all of the contract, `site`, `person_bucket`; person_id and person_bucket after identity merges.
    Dropped: older versions (by _sequence, _row_number); records whose newest version is is_deleted, entered-in-error, or
    older than a bulk-delete tombstone; people, dates and scopes that consent_relation does not cover; rows without a person.
    event_date: SQL over the contract's columns giving the day (or instant, cut at UTC) of the record. A row without a date
    passes only where consent is open to the past (valid_from null or before 1900). Without event_date, any interval admits.
    scope: one of consent_scopes(); an interval of scope `all` admits every scope.
    sequence: also yield `_sequence`, the sender's number of the delivery, for records that are replaced as a set. -#}
{% macro consented_rows(family, entity, event_date=none, scope='clinical', sequence=false) -%}
  {%- set plan = lake_plan() -%}
  {%- set columns = raw_columns(family, entity) -%}
  (
    select
      {% for c in columns %}r.{{ c }}, {% endfor %}r.site, r.person_bucket{% if sequence %}, r._sequence{% endif %}
    from {{ unconsented_rows(family, entity, event_date, plan, columns) }} as r
    inner join {{ source('reference', 'site') }} as s on s.site = r.site
    where exists (
      select 1
      from {{ ref('consent_relation') }} as c
      where {{ bucket_predicate(plan.buckets, 'c') }}
        and c.person_id = r.person_id
        and c.legal_basis = s.legal_basis
        and coalesce(c.only_site, r.site) = r.site
        and c.scope_code in ('{{ scope }}', 'all')
        {%- if event_date is not none %}
        and coalesce(r._event_date, date '1800-01-01') >= coalesce(c.valid_from, date '0001-01-01')
        and coalesce(r._event_date, date '1800-01-01') <= coalesce(c.valid_to, date '9999-12-31')
        {%- endif %}
    )
  )
{%- endmacro %}

{#- Rows of people who withdrew from a scope and have not agreed again: what has to be destroyed. Only the models named in
    assets/governance/consent_exceptions.py may call it, each for the columns that are reviewed there. -#}
{% macro withdrawn_rows(family, entity, scope) -%}
  {%- set plan = lake_plan() -%}
  {%- set columns = raw_columns(family, entity) -%}
  (
    select
      {% for c in columns %}r.{{ c }}, {% endfor %}r.site, r.person_bucket
    from {{ unconsented_rows(family, entity, none, plan, columns) }} as r
    inner join {{ source('reference', 'site') }} as s on s.site = r.site and s.legal_basis = 'consented'
    where exists (
      select 1
      from {{ ref('consent_withdrawal') }} as w
      where {{ bucket_predicate(plan.buckets, 'w') }}
        and w.person_id = r.person_id
        and w.scope_code = '{{ scope }}'
    )
  )
{%- endmacro %}

{#- As consented_rows, before consent; also yields `_event_date` where asked for. Only consent_relation and withdrawn_rows may call it.
    plan, columns: passed on by a caller that has asked for them already; each question is a query of 5 CPU ms. -#}
{% macro unconsented_rows(family, entity, event_date=none, plan=none, columns=none) -%}
  {%- set plan = plan or lake_plan() -%}
  {%- set columns = columns or raw_columns(family, entity) -%}
  {%- set versioned = 'record_id' in columns -%}
  {%- set tombstones = source('raw_fhir', 'tombstone') if family == 'fhir' else none -%}
  {%- set relation = source('raw_' ~ family, entity) -%}
  {%- set links = source('raw_people', 'link') -%}
  (
    select m.*
    from (
      select
        {% for c in columns if c != 'person_id' %}v.{{ c }}, {% endfor -%}
        coalesce(l.person_id, v.person_id) as person_id,
        coalesce(l.person_bucket, v.person_bucket) as person_bucket,
        v.site,
        v._sequence
        {%- if event_date is not none %}, v._event_date{% endif %}
      from (
        select
          {% for c in columns %}{{ c }}, {% endfor %}site, person_bucket, _sequence
          {%- if versioned %}, _row_number, _source_file{% endif %}
          {%- if event_date is not none %}, cast({{ event_date }} as date) as _event_date{% endif %}
        from {{ relation }}
        where {{ bucket_predicate(plan.source_buckets) }}
      ) as v
      {%- if versioned %}
      left join {{ newest_of_several(relation, bucket_predicate(plan.source_buckets), columns) }} as n
        on n.site = v.site and n.record_id = v.record_id
      {%- endif %}
      left join {{ newest_links(links, bucket_predicate(plan.source_buckets, column='alias_bucket')) }} as l on l.alias_person_id = v.person_id
      {%- if tombstones is not none %}
      left join (
        select site, record_id, {{ deleted_up_to() }} as _deleted_up_to
        from {{ tombstones }}
        where entity_name = '{{ entity }}'
        group by site, record_id
      ) as t on t.site = v.site and t.record_id = v.record_id
      {%- endif %}
      where v.person_id is not null
        {%- if versioned %}
        and (
          n.record_id is null
          or (n._sequence = v._sequence and n._row_number = v._row_number and n._source_file = v._source_file)
        )
        {%- endif %}
        {%- if tombstones is not none %} and (t._deleted_up_to is null or t._deleted_up_to <= 2 * v._sequence){% endif %}
        {%- for condition in retractions(family, columns) %} and not coalesce({{ condition }}, false){% endfor %}
    ) as m
    where {{ bucket_predicate(plan.buckets, 'm') }}
  )
{%- endmacro %}

{#- Newest version per (site, record_id) of a table that holds no people. Without record_id: the rows of each site's
    newest delivery of that table (a vocabulary is delivered whole). -#}
{% macro raw_rows(family, entity) -%}
  {%- set columns = raw_columns(family, entity) -%}
  {%- set relation = source('raw_' ~ family, entity) -%}
  {%- set tombstones = source('raw_fhir', 'tombstone') if family == 'fhir' and entity != 'tombstone' else none -%}
  {%- set versioned = 'record_id' in columns and entity != 'tombstone' -%}
  (
    select
      {% for c in columns %}v.{{ c }}, {% endfor %}v.site
    from (
      select
        {% for c in columns %}{{ c }}, {% endfor %}site, _sequence,
        {% if versioned %}{{ version_rank(columns) }}{% else %}dense_rank() over (partition by site order by _sequence desc){% endif %} as _version_rank
      from {{ relation }}
    ) as v
    {%- if tombstones is not none %}
    left join (
      select site, record_id, {{ deleted_up_to() }} as _deleted_up_to
      from {{ tombstones }}
      where entity_name = '{{ entity }}'
      group by site, record_id
    ) as t on t.site = v.site and t.record_id = v.record_id
    {%- endif %}
    where v._version_rank = 1
      {%- if tombstones is not none %} and (t._deleted_up_to is null or t._deleted_up_to <= 2 * v._sequence){% endif %}
      {%- for condition in retractions(family, columns) %} and not coalesce({{ condition }}, false){% endfor %}
  )
{%- endmacro %}

{#- Rows of a person-level model in the buckets this run rebuilds: a join of two such models stays inside them. -#}
{% macro person_ref(model_name) -%}
  (select * from {{ ref(model_name) }} where {{ touched() }})
{%- endmacro %}

{#- Later deliveries win, then the source's own version time, then later records of one file; the file only breaks a tie between
    files of one delivery. -#}
{% macro version_rank(columns) -%}
  row_number() over (
    partition by site, record_id
    order by _sequence desc{% if 'version_at' in columns %}, version_at desc nulls last{% endif %}, _row_number desc, _source_file desc
  )
{%- endmacro %}

{#- How far a tombstone reaches, in halves of a sequence number: over all deliveries before its own; over its own too (`is_last`) where
    it is the last thing that one says of the record. -#}
{% macro deleted_up_to() -%}
  max(2 * _sequence + case when is_last then 1 else 0 end)
{%- endmacro %}

{#- Newest version of each record that was delivered more than once. Most records come once, so finding the others by a count
    and ranking only those costs half of ranking all, and a fraction of the memory (5M rows: 1.8 against 2.9 CPU s). -#}
{% macro newest_of_several(relation, predicate, columns) -%}
  (
    select site, record_id, _sequence, _row_number, _source_file
    from (
      select site, record_id, _sequence, _row_number, _source_file, {{ version_rank(columns) }} as _version_rank
      from {{ relation }}
      where {{ predicate }}
        and (site, record_id) in (
          select site, record_id from {{ relation }} where {{ predicate }} group by site, record_id having count(*) > 1
        )
    ) as several
    where _version_rank = 1
  )
{%- endmacro %}

{#- Newest statement about each alias that the predicate lets through; chains are flattened when they are landed. All rows of an alias name one
    alias_bucket, that of its own rows. -#}
{% macro newest_links(relation, predicate='true') -%}
  (
    select alias_person_id, person_id, person_bucket
    from (
      select
        alias_person_id, person_id, person_bucket,
        row_number() over (partition by alias_person_id order by _sequence desc, _landed_at desc, person_id) as _rank
      from {{ relation }}
      where {{ predicate }}
    ) as ranked
    where _rank = 1
  )
{%- endmacro %}

{#- Conditions on the newest version `v` under which a record counts as taken back. -#}
{% macro retractions(family, columns) -%}
  {%- set found = [] -%}
  {%- if 'is_deleted' in columns -%}{%- do found.append('v.is_deleted') -%}{%- endif -%}
  {%- if family == 'fhir' -%}
    {%- for c in ('status', 'verification_status_code') if c in columns -%}
      {%- do found.append("v." ~ c ~ " = 'entered-in-error'") -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(found) }}
{%- endmacro %}

{#- The contract's own columns of a raw table, in order (lake.raw_column is written by the plugin from assets/contracts). -#}
{% macro raw_columns(family, entity) -%}
  {%- if not execute -%}{{ return(['record_id', 'person_id']) }}{%- endif -%}
  {%- set key = family ~ '/' ~ entity -%}
  {%- if key not in known().columns -%}
    {{ exceptions.raise_compiler_error("no contract for raw/" ~ key) }}
  {%- endif -%}
  {{ return(known().columns[key]) }}
{%- endmacro %}
