-- One row per condition of a relative; number 0 stands for a history that names none.
select
    record_id as family_history_id,
    person_id,
    person_bucket,
    site,
    {{ list_element('relationship_codings', 1) }}.system as relationship_system,
    {{ list_element('relationship_codings', 1) }}.code as relationship_code,
    condition_number,
    {{ list_element('conditions', 'condition_number') }}.system as condition_system,
    {{ list_element('conditions', 'condition_number') }}.code as condition_code,
    {{ local_date('recorded_at') }} as recorded_date
from (
    select
        *,
        {{ ordinals('conditions', first=0) }} as condition_number
    from {{ consented_rows('fhir', 'family_member_history', event_date=local_date('recorded_at')) }} as family_history
) as numbered
where condition_number > 0 or {{ list_element('conditions', 1) }} is null
