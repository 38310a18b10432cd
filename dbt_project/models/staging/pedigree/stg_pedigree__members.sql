select
    record_id as member_id,
    person_id,
    person_bucket,
    site,
    family_id,
    father_record_id as father_member_id,
    mother_record_id as mother_member_id,
    sex_code,
    case affected_code when 'affected' then true when 'unaffected' then false end as is_affected,
    case proband_code when 'true' then true when 'false' then false end as is_proband
from {{ consented_rows('pedigree', 'member', scope='genomic') }} as member
