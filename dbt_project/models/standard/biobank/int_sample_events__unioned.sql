{{ config(materialized='view') }}

-- What happened to samples, of whatever kind; the sample is the specimen or the aliquot of the donor that has the number.
with events as (

    {{ union_by_name(['stg_lims__freeze_thaws', 'stg_lims__custody', 'stg_lims__usages', 'stg_lims__disposals']) }}

)

select
    events.*,
    coalesce(specimen.sample_id, aliquot.sample_id) as sample_id,
    {{ sample_dimension('events.amount_unit') }} as amount_dimension,
    {{ sample_amount('events.amount', 'events.amount_unit') }} as amount_base
from events
left join {{ person_ref('int_samples__resolved') }} as specimen
    on specimen.sample_id = events.specimen_id and specimen.person_id = events.person_id and specimen.site = events.site
left join {{ person_ref('int_samples__resolved') }} as aliquot
    on aliquot.sample_id = events.aliquot_id and aliquot.person_id = events.person_id and aliquot.site = events.site
