{{ config(group='standardise') }}

-- To the won, by agency and delivery: what the newest landed statements say is what stands in claim; every statement of a person whose
-- consent covers it stands there once; cost, a floating number, repeats each claim that is a visit. The raw side is read on a road of its own.
{% set amounts = {
    'claims_nhis': ['claimed_total_won', 'adjudicated_total_won', 'adjudicated_patient_won', 'adjudicated_insurer_won'],
    'claims_hira': ['adjudicated_total_won', 'adjudicated_patient_won', 'adjudicated_insurer_won']
} %}

with statements as (

    {% for family, names in amounts.items() -%}
    select
        record_id, site, _delivery_id, started_date, person_id, _sequence, _row_number, _source_file,
        {{ "claimed_total_won" if family == 'claims_nhis' else "cast(null as bigint)" }} as claimed_total_won,
        adjudicated_total_won, adjudicated_patient_won, adjudicated_insurer_won
    from {{ source('raw_' ~ family, 'statement') }}
    where {{ bucket_predicate(lake_plan().source_buckets) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

newest as (

    select statements.*, coalesce(link.person_id, statements.person_id) as known_person_id
    from statements
    left join {{ newest_links(source('raw_people', 'link'), bucket_predicate(lake_plan().source_buckets, column='alias_bucket')) }} as link on link.alias_person_id = statements.person_id
    qualify row_number() over (
        partition by statements.site, statements.record_id
        order by statements._sequence desc, statements._row_number desc, statements._source_file desc
    ) = 1

),

covered as (

    select newest.*
    from newest
    inner join {{ source('reference', 'site') }} as site on site.site = newest.site
    inner join {{ person_ref('consent_relation') }} as consent
        on consent.person_id = newest.known_person_id
        and consent.legal_basis = site.legal_basis
        and consent.scope_code in ('claims', 'all')
        and newest.started_date between coalesce(consent.valid_from, date '0001-01-01') and coalesce(consent.valid_to, date '9999-12-31')

),

told as (

    select
        covered.site,
        covered._delivery_id,
        count(*) as statements,
        count(claim.claim_id) as claims,
        {% for name in amounts['claims_nhis'] -%}
        coalesce(sum(covered.{{ name }}), 0) - coalesce(sum(claim.{{ name }}), 0) as {{ name }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from covered
    left join {{ person_ref('claim') }} as claim
        on claim.claim_id = covered.record_id and claim.site = covered.site and claim.person_id = covered.known_person_id
    group by covered.site, covered._delivery_id

),

costed as (

    select
        claim.site,
        count(*) filter (where coalesce(cast(claim.claimed_total_won as double), 0) <> coalesce(cost.total_charge, 0)) as claimed,
        count(*) filter (where coalesce(cast(claim.adjudicated_total_won as double), 0) <> coalesce(cost.total_paid, 0)) as adjudicated
    from {{ person_ref('claim') }} as claim
    inner join {{ person_ref('visit_occurrence') }} as visit on visit.visit_occurrence_id = claim.claim_id
    left join {{ person_ref('cost') }} as cost on cost.cost_event_id = claim.claim_id
    group by claim.site

)

select site, _delivery_id as delivery, 'raw and claim differ' as rule_text
from told
where statements <> claims{% for name in amounts['claims_nhis'] %} or {{ name }} <> 0{% endfor %}

union all

select site, null, 'claim and cost differ'
from costed
where claimed <> 0 or adjudicated <> 0

union all

select claim.site, null, 'a claim stands twice, or no statement says it'
from {{ person_ref('claim') }} as claim
left join covered on covered.record_id = claim.claim_id and covered.site = claim.site
group by claim.site, claim.claim_id
having count(*) > 1 or count(covered.record_id) = 0
