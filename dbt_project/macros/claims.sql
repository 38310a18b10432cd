{#- What the claims dialects of NHIS and HIRA have in common. Money is whole won everywhere. -#}

{#- First day of a month written YYYYMM; null where that is no month. -#}
{% macro first_of_month(year_month) -%}
  case
    when ({{ year_month }}) % 100 between 1 and 12 and ({{ year_month }}) between 185001 and 230012
      then {{ date_from_parts('cast(floor((' ~ year_month ~ ') / 100) as integer)', 'cast((' ~ year_month ~ ') % 100 as integer)', 1) }}
  end
{%- endmacro %}

{#- Two digits of a form code: NHIS writes 2, 02 or 03, HIRA 021 or 031; the third digit only tells the paper form. -#}
{% macro claim_form(form_code) -%}
  case when length({{ form_code }}) = 1 then '0' || {{ form_code }} else substr({{ form_code }}, 1, 2) end
{%- endmacro %}

{#- Where care was given, by form (NHIS and HIRA code books: forms with an even second digit up to 12, and 07, are inpatient). -#}
{% macro claim_setting(form) -%}
  case
    when {{ form }} in ('02', '04', '06', '07', '10', '12') then 'inpatient'
    when {{ form }} in ('20', '21') then 'pharmacy'
    when {{ form }} is not null then 'outpatient'
  end
{%- endmacro %}

{#- What an EDI line bills, by its type of code (분류유형); null where the line has none. -#}
{% macro edi_category_of_type(line_type) -%}
  case
    when ltrim({{ line_type }}, '0') in ('1', '2') then 'procedure'
    when ltrim({{ line_type }}, '0') in ('3', '4', '5', '6') then 'drug'
    when ltrim({{ line_type }}, '0') in ('7', '8') then 'device'
  end
{%- endmacro %}

{#- What an EDI code is by its shape: nine digits a drug product, a letter and seven characters a material, else a procedure. -#}
{% macro edi_category_of_shape(edi_code) -%}
  case
    when {{ edi_code }} is null then null
    when length({{ edi_code }}) = 9 then 'drug'
    when length({{ edi_code }}) = 8 then 'device'
    else 'procedure'
  end
{%- endmacro %}

{#- A diagnosis that an agency hides: characters replaced by `_` or `*`. It is looked up without them, so a category speaks where it is known. -#}
{% macro is_masked_sick_code(sick_code) -%}
  ({{ sick_code }} like '%\_%' escape '\' or {{ sick_code }} like '%*%')
{%- endmacro %}

{#- Type concept "Claim", for what an agency knows from a claim. -#}
{% macro claim_type() -%}32810{%- endmacro %}

{#- Type concept "Claim enrolment record", for what an agency knows of a person without a claim. -#}
{% macro enrolment_type() -%}32813{%- endmacro %}

{#- Type concept "Death Certificate", for what a registry of deaths states. -#}
{% macro death_certificate_type() -%}32815{%- endmacro %}

{#- Currency concept "South Korean won". -#}
{% macro korean_won() -%}44818598{%- endmacro %}

{#- Sets of records that came in several deliveries, with the newest: what an older delivery brought of such a set is replaced as a whole. Most sets
    come once, so that the join with this is with next to nothing. -#}
{% macro newest_set(relation, key) -%}
  (
    select {{ key | join(', ') }}, max(_sequence) as _sequence
    from {{ relation }}
    group by {{ key | join(', ') }}
    having min(_sequence) < max(_sequence)
  )
{%- endmacro %}
