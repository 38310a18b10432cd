{#- Steps in order: name, exclusion codes under which people leave at it, sentence. -#}
{%- set cohorts = {
    'cohort_type2_diabetes': {
        'steps': [
            ('has_evidence', ['no_evidence'], 'a type 2 diagnosis or an HbA1c of 6.5 % or more on record'),
            ('has_valid_evidence', ['no_valid_evidence'], 'of which one lies inside life and observation and can be read'),
            ('not_only_gestational', ['gestational_only'], 'of which one lies outside pregnancies with gestational diabetes'),
            ('meets_rule', ['rule_not_met'], 'diagnosis, or high HbA1c on two days, or high HbA1c and a glucose-lowering drug'),
            ('not_type_1', ['type_1_majority'], 'no more days with type 1 than with type 2 diagnoses'),
            ('not_secondary', ['secondary_majority'], 'no more days with secondary than with type 2 diagnoses'),
        ],
        'records': [
            'before_birth', 'after_death', 'outside_observation', 'no_value', 'below_limit', 'unit_not_convertible',
            'implausible',
        ],
    },
    'cohort_chronic_kidney_disease': {
        'steps': [
            ('has_evidence', ['no_evidence'], 'a creatinine or a diagnosis of chronic kidney disease on record'),
            ('has_valid_evidence', ['no_valid_evidence'], 'of which one lies inside life and observation and gives an eGFR or a diagnosis'),
            ('meets_rule', ['rule_not_met'], 'diagnosis, or eGFR below 60 over 90 days or more without a recovery'),
        ],
        'records': [
            'before_birth', 'after_death', 'outside_observation', 'no_value', 'below_limit', 'unit_not_convertible',
            'implausible', 'under_18', 'sex_unknown',
        ],
    },
} -%}
{%- set sentences = {
    'before_birth': 'dated before the first day on which the person can have been born',
    'after_death': 'dated after the day of death',
    'outside_observation': 'dated outside every observation period',
    'no_value': 'measurement without a number',
    'below_limit': 'measurement reported as less than a limit',
    'unit_not_convertible': 'measurement in no unit or in one that the programme does not convert',
    'implausible': 'measurement outside the range that a living person can have',
    'under_18': 'creatinine taken before the 18th birthday: the equation holds for adults',
    'sex_unknown': 'creatinine of a person whose sex is neither female nor male on record: the equation needs it',
} -%}
{%- set counted = sentences.keys() -%}

-- the counts of all buckets are read once: a step each would open as many files again
with summed as (

    select
        cohort_name,
        exclusion_code,
        sum(people_count) as people_count
        {%- for code in counted %},
        sum({{ code }}_people) as {{ code }}_people,
        sum({{ code }}_count) as {{ code }}_count
        {%- endfor %}
    from {{ ref('int_cohort_attrition__counted') }}
    group by cohort_name, exclusion_code

),

steps as (

    {%- for cohort, parts in cohorts.items() %}
    {%- set left_at = [] %}

    select
        '{{ cohort }}' as cohort_name, 'people_remaining' as step_kind, 1 as step_number, 'everybody' as step_code,
        'people of the lake who may be read' as step_description,
        (select coalesce(sum(people_count), 0) from summed where cohort_name = 'everybody') as people_count, null as record_count
    {%- for code, exclusions, sentence in parts.steps %}
    {%- do left_at.extend(exclusions) %}
    union all
    select
        '{{ cohort }}', 'people_remaining', {{ loop.index + 1 }}, '{{ code }}', '{{ sentence }}',
        coalesce(sum(people_count) filter (where coalesce(exclusion_code, '') not in ('{{ left_at | join("', '") }}')), 0), null
    from summed
    where cohort_name = '{{ cohort }}'
    {%- endfor %}
    {%- for code in parts.records %}
    union all
    select
        '{{ cohort }}', 'records_excluded', {{ loop.index }}, '{{ code }}', '{{ sentences[code] }}',
        coalesce(sum({{ code }}_people), 0), coalesce(sum({{ code }}_count), 0)
    from summed
    where cohort_name = '{{ cohort }}'
    {%- endfor %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

-- a count is also withheld where the difference to an earlier step would tell that 1 to 4 people left
judged as (

    select
        *,
        people_count between 1 and 4 or exists (
            select 1
            from steps as earlier
            where earlier.cohort_name = steps.cohort_name
                and earlier.step_kind = 'people_remaining'
                and steps.step_kind = 'people_remaining'
                and earlier.step_number < steps.step_number
                and earlier.people_count - steps.people_count between 1 and 4
        ) as has_small_cell
    from steps

)

select
    cohort_name,
    step_kind,
    cast(step_number as integer) as step_number,
    step_code,
    step_description,
    cast(case when not has_small_cell then people_count end as bigint) as people_count,
    cast(case when not has_small_cell then record_count end as bigint) as record_count,
    has_small_cell
from judged
