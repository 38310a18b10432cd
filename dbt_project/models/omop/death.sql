{{ config(partition_by='person_bucket') }}

select
    person.person_id,
    person.death_date,
    person.death_at as death_datetime,
    coalesce(person.death_type_concept_id, {{ ehr_type() }}) as death_type_concept_id,
    coalesce(nullif(person.cause_concept_id, 0), cause.concept_id, 0) as cause_concept_id,
    person.cause_source_value,
    case when coalesce(person.cause_concept_id, 0) = 0 then coalesce(cause.source_concept_id, 0) else 0 end as cause_source_concept_id,
    person.death_site as site,
    person.person_bucket
from {{ person_ref('int_persons__merged') }} as person
left join {{ ref('int_codes__mapped') }} as cause
    on cause.vocabulary_id = person.cause_system
    and cause.code_key = {{ code_key('person.cause_system', 'person.cause_source_value') }}
    and cause.target_ordinal = 1
where person.death_date is not null and person.birth_year is not null
