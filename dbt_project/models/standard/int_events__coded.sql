{{ config(partition_by='person_bucket') }}

-- Each event with its standard concept. Of several codings the first that a map knows speaks; a code that maps to two
-- concepts makes two events; a code that no map knows keeps concept 0 and its source value.
{% set positions = [1, 2, 3] %}

with looked_up as (

    select
        events.*,
        {{ found_concept(3) }} as found_concept_id,
        case
            {% for n in positions -%}
            when coalesce(nullif(own_{{ n }}.concept_id, 0), nullif(code_{{ n }}.concept_id, 0)) is not null then {{ n }}
            {% endfor -%}
            else 1
        end as position,
        {% for n in positions -%}
        coalesce(own_{{ n }}.domain_id, code_{{ n }}.domain_id) as domain_{{ n }},
        coalesce(own_{{ n }}.target_ordinal, code_{{ n }}.target_ordinal) as ordinal_{{ n }},
        code_{{ n }}.source_concept_id as source_concept_{{ n }},
        {% endfor -%}
        own_1.unit_code as expected_unit,
        nullif(value.concept_id, 0) as found_value_concept_id,
        visit.visit_id as known_visit_id,
        visit.start_date as visit_date,
        visit.start_at as visit_at,
        provider.provider_id as known_provider_id,
        person.person_id as known_person_id
    from {{ ref('int_events__unioned') }} as events
    {% for n in positions -%}
    {{ join_codes(n) }}
    {% endfor -%}
    left join {{ ref('code_system') }} as value_system on value_system.source_system = events.value_system
    left join {{ ref('int_codes__mapped') }} as value
        on value.vocabulary_id = value_system.vocabulary_id
        and value.code_key = {{ code_key('value_system.vocabulary_id', 'events.value_code') }}
        and value.target_ordinal = 1
    left join {{ person_ref('int_visits__unioned') }} as visit
        on visit.visit_id = events.visit_id
        and visit.person_id = events.person_id
        and visit.set_aside_reason is null
    left join {{ ref('int_providers__resolved') }} as provider
        on provider.site = events.site and provider.reference_id = events.provider_id
    left join {{ person_ref('int_persons__merged') }} as person
        on person.person_id = events.person_id and person.birth_year is not null

),

coded as (

    select
        *,
        coalesce(concept_id, found_concept_id, 0) as mapped_concept_id,
        coalesce(value_concept_id, found_value_concept_id) as mapped_value_concept_id,
        coalesce(start_date, visit_date) as event_date,
        coalesce(start_at, case when start_date is null then visit_at end) as event_at,
        {% for name in ['domain', 'ordinal', 'source_concept', 'system', 'code'] -%}
        case position {% for n in positions %}when {{ n }} then {{ name }}_{{ n }} {% endfor %}end as found_{{ name }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from looked_up

)

select
    case
        when found_ordinal > 1 then {{ surrogate_id(['record_id', 'mapped_concept_id']) }}
        else record_id
    end as event_id,
    person_id,
    person_bucket,
    site,
    event_kind,
    {{ omop_table('event_kind', 'found_domain', 'value_number') }} as omop_table,
    case
        when event_kind = 'allergy' and found_domain = 'Drug' then {{ allergy_to_drug() }}
        else mapped_concept_id
    end as concept_id,
    coalesce(source_concept_id, found_source_concept, 0) as source_concept_id,
    found_system as source_system,
    found_code as source_value,
    coalesce(type_concept_id, {{ ehr_type() }}) as type_concept_id,
    known_visit_id as visit_id,
    known_provider_id as provider_id,
    event_date as start_date,
    event_at as start_at,
    end_date,
    end_at,
    status_code,
    status_concept_id,
    modifier_concept_id,
    value_number,
    value_comparator,
    operator_concept_id,
    case
        when event_kind = 'allergy' and found_domain = 'Drug' then mapped_concept_id
        else mapped_value_concept_id
    end as value_concept_id,
    value_code as value_source_value,
    unit_concept_id,
    unit_source_value,
    expected_unit,
    range_low,
    range_high,
    {{ plausible_quantity('quantity') }} as quantity,
    {{ is_lost('quantity', plausible_quantity('quantity')) }} as has_odd_quantity,
    {{ plausible_days('days_supply') }} as days_supply,
    {{ is_lost('days_supply', plausible_days('days_supply')) }} as has_odd_days_supply,
    refills,
    route_concept_id,
    route_source_value,
    dose_unit_source_value,
    {{ set_aside_reason('is_negated', 'event_date', 'known_person_id') }} as set_aside_reason
from coded
