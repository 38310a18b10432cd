{{ config(partition_by='person_bucket') }}

-- What the biobanks have to destroy, tube by tube. Says nothing of the person: no id, no attribute, no kind of material.
with events as (

    select
        coalesce(specimen.sample_id, aliquot.sample_id) as sample_id,
        coalesce(specimen.sample_kind, aliquot.sample_kind) as sample_kind,
        event.event_id,
        event.event_kind,
        event.occurred_at,
        event.holder_code,
        event.is_whole
    from {{ ref('stg_lims__withdrawn_events') }} as event
    left join {{ ref('stg_lims__withdrawn_samples') }} as specimen
        on specimen.sample_id = event.specimen_id
        and specimen.sample_kind = 'specimen'
        and specimen.person_id = event.person_id
        and specimen.site = event.site
    left join {{ ref('stg_lims__withdrawn_samples') }} as aliquot
        on aliquot.sample_id = event.aliquot_id
        and aliquot.sample_kind = 'aliquot'
        and aliquot.person_id = event.person_id
        and aliquot.site = event.site

),

ranked as (

    select
        *,
        row_number() over (partition by sample_id, sample_kind, event_kind order by occurred_at desc, event_id desc) as recency
    from events
    where sample_id is not null

),

happened as (

    select
        sample_id,
        sample_kind,
        max(case when event_kind = 'custody' and recency = 1 then holder_code end) as holder_code,
        min(case when event_kind = 'disposal' and is_whole then occurred_at end) as destroyed_at
    from ranked
    group by sample_id, sample_kind

)

select
    sample.sample_id,
    sample.sample_kind,
    sample.site,
    withdrawal.withdrawn_date,
    coalesce(happened.holder_code, sample.custodian_code) as custodian_code,
    happened.destroyed_at is not null as is_destruction_confirmed,
    {{ local_date('happened.destroyed_at', 'sample.site') }} as destroyed_date,
    coalesce(sample.made_date > withdrawal.withdrawn_date, false) as is_made_after_withdrawal,
    sample.person_bucket
from {{ ref('stg_lims__withdrawn_samples') }} as sample
inner join {{ person_ref('consent_withdrawal') }} as withdrawal
    on withdrawal.person_id = sample.person_id and withdrawal.scope_code = 'specimen'
left join happened on happened.sample_id = sample.sample_id and happened.sample_kind = sample.sample_kind
