-- Dates and consent of a line are those of its statement (claim_line joins it).
select
    record_id as claim_line_id,
    statement_id as claim_id,
    person_id,
    person_bucket,
    site,
    'prescription' as line_kind,
    line_number,
    line_type_code,
    edi_code,
    ingredient_code,
    dose_each,
    count_a_day,
    days_supply,
    total_quantity,
    unit_price_won,
    amount_won,
    _sequence
from {{ consented_rows('claims_hira', 'prescription', scope='claims', sequence=true) }} as prescription
