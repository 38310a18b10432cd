{{ config(partition_by='person_bucket') }}

-- What a researcher may ask for: every sample of people who agree to it, with what is left, where, and what is wrong with it.
select
    sample.sample_id,
    sample.sample_kind,
    sample.person_id,
    sample.site,
    sample.specimen_id,
    sample.collection_id,
    sample.sample_type_code,
    sample.made_date,
    {{ days_between('specimen.specimen_date', 'sample.made_date') }} as days_since_collection,
    sample.current_volume_ul,
    sample.current_mass_ug,
    sample.concentration_ng_ul,
    cast(sample.aliquot_count as integer) as aliquot_count,
    cast(sample.freeze_thaw_count as integer) as freeze_thaw_count,
    sample.custodian_code,
    sample.container_code,
    sample.storage_temperature_code,
    sample.conservation_status,
    sample.missing_volume_ul,
    sample.missing_mass_ug,
    sample.finding_codes,
    sample.disposed_at is not null as is_disposed,
    sample.is_available,
    sample.person_bucket
from {{ person_ref('biobank_sample') }} as sample
left join {{ person_ref('specimen') }} as specimen
    on specimen.specimen_id = sample.specimen_id and specimen.person_id = sample.person_id
