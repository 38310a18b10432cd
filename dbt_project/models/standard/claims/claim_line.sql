{{ config(partition_by='person_bucket') }}

-- The lines of a claim come as a set: those of the newest delivery that brought any stand, also where they are fewer than before.
-- What a line bills is said by its own type of code; where it has none, by the code list of its day; else by the code's shape.
with lines as (

    {{ union_by_name([
        'stg_claims_nhis__treatment_lines',
        'stg_claims_nhis__prescriptions',
        'stg_claims_hira__treatment_lines',
        'stg_claims_hira__prescriptions'
    ]) }}

),

dated as (

    select
        lines.*,
        claim.started_date,
        claim.dialect,
        coalesce(
            lines.total_quantity, coalesce(lines.dose_each, 1) * coalesce(lines.count_a_day, 1) * coalesce(lines.days_supply, 1)
        ) as quantity
    from lines
    inner join {{ person_ref('claim') }} as claim
        on claim.claim_id = lines.claim_id and claim.site = lines.site and claim.person_id = lines.person_id
    left join {{ newest_set('lines', ['site', 'claim_id', 'line_kind']) }} as newest
        on newest.site = lines.site and newest.claim_id = lines.claim_id and newest.line_kind = lines.line_kind
    where newest.claim_id is null or newest._sequence = lines._sequence

)

select
    line.claim_line_id,
    line.claim_id,
    line.person_id,
    line.site,
    line.dialect,
    line.line_kind,
    line.line_number,
    line.started_date,
    line.line_type_code,
    coalesce(
        {{ edi_category_of_type('line.line_type_code') }}, listed.category, {{ edi_category_of_shape('line.edi_code') }}
    ) as category,
    case
        when {{ edi_category_of_type('line.line_type_code') }} is not null then 'line'
        when listed.category is not null then 'list'
        when line.edi_code is not null then 'shape'
    end as category_basis,
    line.edi_code,
    line.ingredient_code,
    line.clause_item_code,
    line.dose_each,
    line.count_a_day,
    line.days_supply,
    {{ plausible_quantity('line.quantity') }} as quantity,
    line.unit_price_won,
    line.amount_won,
    line.person_bucket
from dated as line
left join {{ ref('seed_edi_category') }} as listed
    on listed.edi_code = line.edi_code and line.started_date between listed.valid_from and listed.valid_to
