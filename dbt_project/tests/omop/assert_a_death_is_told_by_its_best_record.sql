{{ config(group='omop') }}

-- No death lies before birth, and the registry's day counts wherever it tells one.
select 'a death before birth' as rule_text, death.person_id
from {{ person_ref('death') }} as death
inner join {{ person_ref('person') }} as person on person.person_id = death.person_id
where {{ day_number('year(death.death_date)', 'month(death.death_date)', 'day(death.death_date)') }}
    < {{ day_number('person.year_of_birth', 'coalesce(person.month_of_birth, 0)', 'coalesce(person.day_of_birth, 0)') }}

union all

select 'the day is not the registry''s', death.person_id
from {{ person_ref('death') }} as death
inner join {{ person_ref('death_record') }} as record on record.person_id = death.person_id
where record.source_kind = 'registry' and record.death_precision = 'day' and not record.is_before_birth
group by death.person_id
having not bool_or(record.death_date = death.death_date)
