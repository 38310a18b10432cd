-- Dates and consent of a diagnosis are those of its statement (int_claim_diagnoses__completed joins it).
select
    record_id as claim_diagnosis_id,
    statement_id as claim_id,
    person_id,
    person_bucket,
    site,
    sick_code,
    sick_type_code,
    _sequence
from {{ consented_rows('claims_nhis', 'diagnosis', scope='claims', sequence=true) }} as diagnosis
