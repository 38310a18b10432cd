{{ config(group='standardise') }}

-- Every covered specimen and aliquot stands once in biobank_sample, whatever is wrong with it, and under a finding of the closed list.
with delivered as (

    select sample_id from {{ ref('stg_lims__specimens') }}
    union all
    select sample_id from {{ ref('stg_lims__aliquots') }}

)

select 'lost or doubled' as rule_text, delivered.sample_id
from delivered
left join {{ person_ref('biobank_sample') }} as sample on sample.sample_id = delivered.sample_id
group by delivered.sample_id
having count(sample.sample_id) <> 1

union all

select 'unknown finding', sample_id
from {{ person_ref('biobank_sample') }} as sample
where trim(
    {%- set text = namespace(sql="' ' || finding_codes || ' '") -%}
    {%- for code in sample_findings() -%}{%- set text.sql = "replace(" ~ text.sql ~ ", '" ~ code ~ "', '')" -%}{%- endfor %}
    {{ text.sql }}
) <> ''
