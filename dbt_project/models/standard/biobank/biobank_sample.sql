{{ config(partition_by='person_bucket') }}

-- Each sample with what became of its material. Conservation: initial = remaining + taken by aliquots + used + disposed, and what is
-- missing may not exceed the loss that the biobank declares. All of it in whole nanolitres or picograms.

with samples as (

    select * from {{ person_ref('int_samples__resolved') }} as sample

),

portions as (

    select
        parent_id as sample_id,
        count(*) as aliquot_count,
        sum(taken_base) as taken_base,
        min(taken_dimension) as least_dimension,
        max(taken_dimension) as greatest_dimension,
        bool_and(taken_base is not null) as is_measured,
        bool_or(amount_taken < 0) as is_negative
    from samples
    where parent_id is not null
    group by parent_id

),

events as (

    select * from {{ ref('int_sample_events__unioned') }} where sample_id is not null

),

happened as (

    select
        sample_id,
        count(*) filter (where event_kind = 'freeze_thaw') as freeze_thaw_count,
        max(occurred_at) filter (where event_kind = 'freeze_thaw') as last_thawed_at,
        sum(amount_base) filter (where event_kind = 'usage') as used_base,
        sum(amount_base) filter (where event_kind = 'disposal') as disposed_base,
        min(occurred_at) filter (where event_kind = 'disposal' and amount is null) as disposed_at,
        max(occurred_at) filter (where event_kind <> 'disposal') as last_touched_at,
        min(amount_dimension) as least_dimension,
        max(amount_dimension) as greatest_dimension,
        bool_and(amount is null or amount_base is not null) as is_measured,
        bool_or(amount < 0) as is_negative
    from events
    group by sample_id

),

holders as (

    select
        sample_id,
        max(case when is_last then to_holder_code end) as holder_code,
        bool_or(is_gap) as has_gap,
        bool_or(is_overlap) as has_overlap
    from {{ ref('int_sample_custody__chained') }}
    group by sample_id

),

balanced as (

    select
        sample.*,
        coalesce(holder.holder_code, sample.custodian_code) as holder_code,
        coalesce(holder.has_gap, false) as has_gap,
        coalesce(holder.has_overlap, false) as has_overlap,
        coalesce(portion.aliquot_count, 0) as aliquot_count,
        coalesce(happened.freeze_thaw_count, 0) as freeze_thaw_count,
        happened.last_thawed_at,
        happened.disposed_at,
        coalesce(happened.last_touched_at > happened.disposed_at, false) as is_touched_after_disposal,
        coalesce(portion.taken_base, 0) as given_base,
        coalesce(happened.used_base, 0) as used_base,
        coalesce(happened.disposed_base, 0) as disposed_base,
        sample.initial_base - coalesce(portion.taken_base, 0) - coalesce(happened.used_base, 0) - coalesce(happened.disposed_base, 0) as left_base,
        coalesce(
            sample.initial_base is not null
            and (sample.amount_remaining is null or sample.remaining_base is not null)
            and coalesce(portion.is_measured, true)
            and coalesce(happened.is_measured, true)
            and coalesce(portion.least_dimension, sample.dimension) = sample.dimension
            and coalesce(portion.greatest_dimension, sample.dimension) = sample.dimension
            and coalesce(happened.least_dimension, sample.dimension) = sample.dimension
            and coalesce(happened.greatest_dimension, sample.dimension) = sample.dimension,
            false
        ) as is_comparable,
        coalesce(sample.amount_initial < 0, false)
        or coalesce(sample.amount_remaining < 0, false)
        or coalesce(sample.amount_taken < 0, false)
        or coalesce(sample.concentration < 0, false)
        or coalesce(portion.is_negative, false)
        or coalesce(happened.is_negative, false) as is_negative
    from samples as sample
    left join portions as portion on portion.sample_id = sample.sample_id
    left join happened on happened.sample_id = sample.sample_id
    left join holders as holder on holder.sample_id = sample.sample_id

),

weighed as (

    select
        *,
        -- once all that was left is gone, nothing may be left, and no more may have been taken than there was
        case
            when not is_comparable then null
            when disposed_at is not null then least(left_base, 0) - greatest(coalesce(remaining_base, 0), 0)
            when remaining_base is null then least(left_base, 0)
            else left_base - remaining_base
        end as missing_base
    from balanced

),

judged as (

    select
        *,
        case
            when missing_base is null then 'not_comparable'
            when missing_base < 0
                or cast(missing_base as double) * 100
                > greatest(cast(initial_base as double), 0) * greatest(coalesce(loss_tolerance_percent, 0), 0) + 0.000001 then 'not_conserved'
            when amount_remaining is null and disposed_at is null then 'not_stated'
            else 'conserved'
        end as conservation_status
    from weighed

),

flagged as (

    select
        *,
        concat_ws(
            ' ',
            case when conservation_status = 'not_comparable' then 'amount_not_comparable' end,
            case when conservation_status = 'not_conserved' then 'amount_not_conserved' end,
            case when has_gap then 'custody_gap' end,
            case when has_overlap then 'custody_overlap' end,
            case when is_touched_after_disposal then 'event_after_disposal' end,
            case when made_at < parent_made_at then 'made_before_parent' end,
            case when is_negative then 'negative_amount' end,
            case when is_parent_ambiguous then 'parent_ambiguous' end,
            case when generation is null then 'parent_cycle' end,
            case when sample_kind = 'aliquot' and parent_id is null then 'parent_unknown' end
        ) as finding_codes,
        case
            when disposed_at is not null then 0
            else coalesce(remaining_base, left_base)
        end as current_base
    from judged

)

select
    sample_id,
    sample_kind,
    person_id,
    site,
    specimen_id,
    parent_id,
    generation,
    collection_id,
    collection_event_id,
    sample_type_code,
    made_at,
    made_date,
    case when dimension = 'volume' then cast(initial_base as double) / 1000 end as initial_volume_ul,
    case when dimension = 'volume' then cast(current_base as double) / 1000 end as current_volume_ul,
    case when dimension = 'mass' then cast(initial_base as double) / 1000000 end as initial_mass_ug,
    case
        when dimension = 'mass' then cast(current_base as double) / 1000000
        else cast(current_base as double) / 1000 * concentration_ng_ul / 1000
    end as current_mass_ug,
    concentration_ng_ul,
    case when dimension = 'volume' then cast(missing_base as double) / 1000 end as missing_volume_ul,
    case when dimension = 'mass' then cast(missing_base as double) / 1000000 end as missing_mass_ug,
    conservation_status,
    aliquot_count,
    freeze_thaw_count,
    last_thawed_at,
    holder_code as custodian_code,
    container_code,
    storage_temperature_code,
    storage_position_id,
    disposed_at,
    finding_codes,
    coalesce(current_base > 0, false) and disposed_at is null and finding_codes = '' as is_available,
    person_bucket
from flagged
