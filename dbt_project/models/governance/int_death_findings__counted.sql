{{ config(partition_by='person_bucket', packed=true) }}

-- What is odd in records of death, a bucket at a time, so that a delivery recounts only what it touched.
with later as (

    {% for table, date in {
        'visit_occurrence': 'visit_start_date', 'condition_occurrence': 'condition_start_date',
        'drug_exposure': 'drug_exposure_start_date', 'measurement': 'measurement_date'
    }.items() -%}
    select record.person_id
    from {{ person_ref(table) }} as record
    inner join {{ person_ref('death') }} as death on death.person_id = record.person_id
    where record.{{ date }} > death.death_date
    {% if not loop.last %}union{% endif %}
    {% endfor %}
),

found as (

    select site, 'before_birth' as finding, person_bucket from {{ person_ref('death_record') }} as record where is_before_birth
    union all
    select site, 'no_date', person_bucket from {{ person_ref('death_record') }} as record where death_date is null
    union all
    select site, 'other_day', person_bucket
    from {{ person_ref('death_record') }} as record
    where death_precision = 'day' and not is_before_birth and days_after_used <> 0
    union all
    select record.site, 'other_month', record.person_bucket
    from {{ person_ref('death_record') }} as record
    inner join {{ person_ref('death') }} as death on death.person_id = record.person_id
    where record.death_precision = 'month' and not record.is_before_birth and last_day(death.death_date) <> last_day(record.death_date)
    union all
    select site, 'reported_before_death', person_bucket
    from {{ person_ref('death_record') }} as record
    where reported_date < death_date
    union all
    select site, 'injury_without_external_cause', person_bucket
    from {{ person_ref('death_record') }} as record
    where upper(substr(underlying_cause_code, 1, 1)) in ('S', 'T') and external_cause_code is null
    union all
    select site, 'cause_without_concept', person_bucket
    from {{ person_ref('death') }} as death
    where cause_source_value is not null and cause_concept_id = 0
    union all
    select death.site, 'records_after_death', death.person_bucket
    from {{ person_ref('death') }} as death
    inner join later on later.person_id = death.person_id

)

select site, finding, count(*) as record_count, person_bucket
from found
group by site, finding, person_bucket
