{#- What consent may say. Sources: GA4GH Data Use Ontology (DUO) release 2021-02-23 for permissions and modifiers; Korea's Bioethics and
    Safety Act, Enforcement Rule, forms 34 (research on human materials) and 41 (donation to a biobank). -#}

{#- Kinds of records a person may open, and kinds of use that need a word of their own. One text, so that any engine's Jinja can split it. -#}
{% macro consent_scopes() -%}clinical genomic specimen claims lifelog imaging recontact commercial overseas{%- endmacro %}

{% macro consent_scope_list() -%}('{{ consent_scopes().split() | join("', '") }}'){%- endmacro %}

{% macro duo_permissions() -%}('NRES', 'GRU', 'HMB', 'DS', 'POA'){%- endmacro %}

{#- Codes as we compare them: upper case, no blanks, short names for DUO ids, separated by `;`.
    GS, TS, MOR, US, PS and IS carry a value: GS=KR, TS=2030-12-31, PS=P-2026-017. TS counts months in DUO; a grant has a first day, so we
    ask for the last one. -#}
{% macro duo_normalised(expression) -%}
  {%- set codes = {
    '0000004': 'NRES', '0000042': 'GRU', '0000006': 'HMB', '0000007': 'DS', '0000011': 'POA',
    '0000012': 'RS', '0000015': 'NMDS', '0000016': 'GSO', '0000018': 'NPUNCU', '0000019': 'PUB', '0000020': 'COL', '0000021': 'IRB',
    '0000022': 'GS', '0000024': 'MOR', '0000025': 'TS', '0000026': 'US', '0000027': 'PS', '0000028': 'IS', '0000029': 'RTN',
    '0000043': 'CC', '0000044': 'NPOA', '0000045': 'NPU', '0000046': 'NCU',
  } -%}
  {%- set text = "replace(replace(upper(" ~ expression ~ "), ' ', ''), ',', ';')" -%}
  {%- set found = namespace(sql=text) -%}
  {%- for number, code in codes.items() -%}
    {%- set found.sql = "replace(" ~ found.sql ~ ", 'DUO:" ~ number ~ "', '" ~ code ~ "')" -%}
  {%- endfor -%}
  case when {{ expression }} like '%:%' then {{ found.sql }} else {{ text }} end
{%- endmacro %}

{#- The whole list is understood, each with a value exactly where it needs one. -#}
{% macro duo_modifiers_are_known(expression) -%}
  {%- set day = '[0-9]{4}-[0-9]{2}-[0-9]{2}' -%}
  {%- set one = '(RS|NMDS|GSO|NPUNCU|PUB|COL|IRB|RTN|CC|NPOA|NPU|NCU|GS=[A-Z]{2}|(MOR|TS)=' ~ day ~ '|(US|PS|IS)=[A-Z0-9._-]+)' -%}
  {{ matches_whole(expression, one ~ '(;' ~ one ~ ')*') }}
{%- endmacro %}

{#- Why an event does not say what it claims to; null where it is understood. A grant with a finding grants nothing. -#}
{% macro consent_finding() -%}
  case
    when event_type not in ('grant', 'change', 'reconsent', 'withdraw', 'expire') then 'unknown_event_type'
    when scope_code = 'all' and event_type not in ('withdraw', 'expire') then 'grant_of_all_scopes'
    when scope_code <> 'all' and scope_code not in {{ consent_scope_list() }} then 'unknown_scope'
    when event_type in ('withdraw', 'expire') then null
    when permission_code not in {{ duo_permissions() }} then 'unknown_permission'
    when permission_code = 'DS' and disease_code is null then 'disease_not_named'
    when modifier_codes is not null and not {{ duo_modifiers_are_known('modifier_codes') }} then 'unknown_modifier'
    when coalesce(signer_code, 'self') not in ('self', 'parent', 'guardian', 'representative') then 'unknown_signer'
    when coalesce(signer_code, 'self') <> 'self' and coalesce(signer_basis_code, '') not in ('minor', 'incapacity') then 'proxy_without_right'
    when coalesce(signer_code, 'self') <> 'self' and signer_basis_code = 'minor' and valid_until_date is null then 'proxy_without_end'
    when signer_code = 'self' and effective_date <= minor_until_date then 'signed_before_majority'
    when valid_until_date < effective_date or retention_years < 0 then 'ends_before_it_begins'
    when is_form_unknown and permission_code = 'POA' then 'unknown_form'
  end
{%- endmacro %}

{#- What a grant permits and for how long, as one text: two grants of one day that differ in it contradict each other. -#}
{% macro consent_terms() -%}
  ({% for column in ('permission_code', 'disease_code', 'modifier_codes', 'covers_from_date', 'last_day') -%}
  coalesce(cast({{ column }} as varchar), '') || '|'{% if not loop.last %} || {% endif %}
  {%- endfor %})
{%- endmacro %}

{#- Order of grants of one day, the strict one first: the narrower permission, the earlier end, more modifiers, fewer years of records. -#}
{% macro strict_grant_first() -%}
  case permission_code when 'DS' then 0 when 'POA' then 1 when 'HMB' then 2 when 'GRU' then 3 else 4 end,
  coalesce(last_day, date '9999-12-31'),
  length(modifier_codes) - length(replace(modifier_codes, ';', '')) desc nulls last,
  covers_from_date desc nulls last,
  record_id desc
{%- endmacro %}

{#- What a purpose of a FHIR Consent covers, null where we do not understand it. The programme's own codes name its scopes; research on
    health (HL7 v3 ActReason HRESCH, BIORCH) covers clinical records and no more. -#}
{% macro consent_scope_of(system, code) -%}
  case
    when {{ system }} = 'urn:biodam:consent-scope' and {{ code }} in {{ consent_scope_list() }} then {{ code }}
    when {{ system }} = 'http://terminology.hl7.org/CodeSystem/v3-ActReason' and {{ code }} in ('HRESCH', 'BIORCH') then 'clinical'
  end
{%- endmacro %}
