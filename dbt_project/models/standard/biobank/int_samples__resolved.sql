{{ config(partition_by='person_bucket') }}

-- Specimens and aliquots of each donor as trees: the parent of an aliquot is the donor's specimen, else aliquot, that has the number.
-- What no walk from a root reaches goes round in a circle, or hangs on such a one.
with recursive samples as (

    select *, 'specimen' as sample_kind from {{ ref('stg_lims__specimens') }}
    union all by name
    select *, 'aliquot' as sample_kind from {{ ref('stg_lims__aliquots') }}

),

linked as (

    select
        sample.*,
        coalesce(specimen.sample_id, aliquot.sample_id) as parent_id,
        coalesce(specimen.made_at, aliquot.made_at) as parent_made_at,
        specimen.sample_id is not null and aliquot.sample_id is not null as is_parent_ambiguous
    from samples as sample
    left join samples as specimen
        on specimen.sample_id = sample.parent_specimen_id
        and specimen.sample_kind = 'specimen'
        and specimen.person_id = sample.person_id
        and specimen.site = sample.site
    left join samples as aliquot
        on aliquot.sample_id = sample.parent_aliquot_id
        and aliquot.sample_kind = 'aliquot'
        and aliquot.person_id = sample.person_id
        and aliquot.site = sample.site

),

tree as (

    select
        sample_id,
        sample_kind,
        case when sample_kind = 'specimen' then sample_id end as specimen_id,
        case when sample_kind = 'specimen' then 0 else 1 end as generation
    from linked
    where parent_id is null
    union all
    select
        child.sample_id,
        child.sample_kind,
        tree.specimen_id,
        tree.generation + 1
    from tree
    inner join linked as child on child.parent_id = tree.sample_id

)

select
    linked.sample_id,
    linked.sample_kind,
    linked.person_id,
    linked.person_bucket,
    linked.site,
    linked.parent_id,
    tree.specimen_id,
    cast(tree.generation as integer) as generation,
    linked.collection_id,
    linked.collection_event_id,
    linked.sample_type_code,
    linked.made_at,
    linked.made_date,
    linked.parent_made_at,
    linked.is_parent_ambiguous,
    linked.amount_initial,
    linked.amount_remaining,
    linked.amount_unit,
    linked.amount_taken,
    linked.amount_taken_unit,
    linked.loss_tolerance_percent,
    linked.concentration,
    {{ concentration_ng_ul('linked.concentration', 'linked.concentration_unit') }} as concentration_ng_ul,
    linked.container_code,
    linked.storage_temperature_code,
    linked.storage_position_id,
    linked.custodian_code,
    {{ sample_dimension('linked.amount_unit') }} as dimension,
    {{ sample_dimension('linked.amount_taken_unit') }} as taken_dimension,
    {{ sample_amount('linked.amount_initial', 'linked.amount_unit') }} as initial_base,
    {{ sample_amount('linked.amount_remaining', 'linked.amount_unit') }} as remaining_base,
    {{ sample_amount('linked.amount_taken', 'linked.amount_taken_unit') }} as taken_base
from linked
left join tree on tree.sample_id = linked.sample_id and tree.sample_kind = linked.sample_kind
