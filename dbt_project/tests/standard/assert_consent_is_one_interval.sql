{{ config(group='standardise') }}

-- One interval a person, basis, scope and covered site, and none that ends before it begins: an overlap would let a record in twice.
select person_id, legal_basis, scope_code
from {{ person_ref('consent_relation') }} as relation
group by person_id, legal_basis, scope_code, only_site
having count(*) > 1
    or max(case when valid_to < valid_from then 1 else 0 end) = 1
    or legal_basis not in ('published', 'consented')
