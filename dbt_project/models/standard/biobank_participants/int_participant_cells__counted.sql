{{ config(partition_by='person_bucket') }}

-- Cells that say why they hold no value, by bucket; summed by gov_cell_faults.
select
    site,
    {{ list_element('missing_answers', 'ordinal') }}.system as field_name,
    {{ list_element('missing_answers', 'ordinal') }}.code as missing_reason,
    count(*) as cell_count,
    person_bucket
from (
    select site, person_bucket, missing_answers, {{ ordinals('missing_answers') }} as ordinal
    from {{ ref('stg_biobank_participants__participants') }}
) as cells
group by site, field_name, missing_reason, person_bucket
