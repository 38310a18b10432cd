-- What is odd in records of death, counted and left in place.
with later as (

    {% for table, date in {
        'visit_occurrence': 'visit_start_date', 'condition_occurrence': 'condition_start_date',
        'drug_exposure': 'drug_exposure_start_date', 'measurement': 'measurement_date'
    }.items() -%}
    select record.person_id
    from {{ ref(table) }} as record
    inner join {{ ref('death') }} as death on death.person_id = record.person_id
    where record.{{ date }} > death.death_date
    {% if not loop.last %}union{% endif %}
    {% endfor %}
),

found as (

    select site, 'before_birth' as finding, count(*) as records from {{ ref('death_record') }} where is_before_birth group by site
    union all
    select site, 'no_date', count(*) from {{ ref('death_record') }} where death_date is null group by site
    union all
    select site, 'other_day', count(*)
    from {{ ref('death_record') }}
    where death_precision = 'day' and not is_before_birth and days_after_used <> 0
    group by site
    union all
    select record.site, 'other_month', count(*)
    from {{ ref('death_record') }} as record
    inner join {{ ref('death') }} as death on death.person_id = record.person_id
    where record.death_precision = 'month' and not record.is_before_birth and last_day(death.death_date) <> last_day(record.death_date)
    group by record.site
    union all
    select site, 'reported_before_death', count(*) from {{ ref('death_record') }} where reported_date < death_date group by site
    union all
    select site, 'injury_without_external_cause', count(*)
    from {{ ref('death_record') }}
    where upper(substr(underlying_cause_code, 1, 1)) in ('S', 'T') and external_cause_code is null
    group by site
    union all
    select site, 'cause_without_concept', count(*)
    from {{ ref('death') }}
    where cause_source_value is not null and cause_concept_id = 0
    group by site
    union all
    select death.site, 'records_after_death', count(*)
    from {{ ref('death') }} as death
    inner join later on later.person_id = death.person_id
    group by death.site

)

select
    site,
    finding,
    case when records < 5 then '<5' else cast(records as varchar) end as record_count
from found
where records > 0
