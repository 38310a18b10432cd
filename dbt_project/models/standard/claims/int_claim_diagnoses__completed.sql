{{ config(materialized='view') }}

-- Diagnoses of claims with their rank, those of the newest delivery that brought any of the claim. A main or sub diagnosis that stands on the statement only is added.
with claims as (

    select * from {{ person_ref('claim') }} as claim

),

listed as (

    {{ union_by_name(['stg_claims_nhis__diagnoses', 'stg_claims_hira__diagnoses']) }}

),

ranked as (

    select
        listed.claim_diagnosis_id,
        claims.claim_id,
        claims.person_id,
        claims.person_bucket,
        claims.site,
        claims.started_date,
        listed.sick_code,
        case
            when listed.sick_type_code in ('1', '2', '3') then listed.sick_type_code
            when listed.sick_code = claims.main_sick_code then '1'
            else '2'
        end as sick_rank
    from listed
    inner join claims
        on claims.claim_id = listed.claim_id and claims.site = listed.site and claims.person_id = listed.person_id
    left join {{ newest_set('listed', ['site', 'claim_id']) }} as newest
        on newest.site = listed.site and newest.claim_id = listed.claim_id
    where newest.claim_id is null or newest._sequence = listed._sequence

),

stated as (

    select claim_id, person_id, person_bucket, site, started_date, main_sick_code as sick_code, '1' as sick_rank
    from claims
    where main_sick_code is not null
    union all
    select claim_id, person_id, person_bucket, site, started_date, sub_sick_code, '2'
    from claims
    where sub_sick_code is not null and sub_sick_code <> coalesce(main_sick_code, '')

),

added as (

    select
        {{ surrogate_id(['stated.claim_id', 'stated.sick_rank', "'stated'"]) }} as claim_diagnosis_id,
        stated.*
    from stated
    left join ranked
        on ranked.claim_id = stated.claim_id and ranked.site = stated.site and ranked.sick_code = stated.sick_code
    where ranked.claim_id is null

)

select claim_diagnosis_id, claim_id, person_id, person_bucket, site, started_date, sick_code, sick_rank from ranked
union all
select claim_diagnosis_id, claim_id, person_id, person_bucket, site, started_date, sick_code, sick_rank from added
