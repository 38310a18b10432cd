{{ config(group='destruction') }}

-- What is to be destroyed is in no table of samples that may be read.
select manifest.sample_id
from {{ person_ref('gov_specimen_destruction') }} as manifest
inner join {{ person_ref('biobank_sample') }} as sample on sample.sample_id = manifest.sample_id and sample.site = manifest.site
