{{ config(partition_by='person_bucket') }}

-- Everything that any source says of a death, beside what stands in `death`.
with told as (

    select *, coalesce(death_source, 'hospital') as told_by
    from (
    {{ union_by_name(tellers_of_death()) }}
    ) as records
    where is_deceased or death_date is not null

)

select
    {{ surrogate_id(['told.site', 'told.told_by', 'told.record_id']) }} as death_record_id,
    told.person_id,
    told.site,
    told.told_by as source_kind,
    told.death_date,
    case when told.death_date is not null then coalesce(told.death_precision, 'day') else told.death_precision end as death_precision,
    told.cause_source_value,
    told.underlying_cause_code,
    told.external_cause_code,
    told.place_type_code,
    told.reported_date,
    coalesce(
        told.site = person.death_site and told.told_by = person.death_source and told.record_id = person.death_record_id, false
    ) as is_used,
    coalesce(
        {{ day_number('year(told.death_date)', 'month(told.death_date)', 'day(told.death_date)') }}
        < {{ day_number('person.birth_year', 'coalesce(person.birth_month, 0)', 'coalesce(person.birth_day, 0)') }},
        false
    ) as is_before_birth,
    {{ days_between('person.death_date', 'told.death_date') }} as days_after_used,
    told.person_bucket
from told
inner join {{ person_ref('int_persons__merged') }} as person on person.person_id = told.person_id
