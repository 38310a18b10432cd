{{ config(group='standardise', severity='warn') }}

-- Samples whose parts do not add up. The rows stay, flagged; the biobank has to mend its records, so this warns and does not stop a build.
select sample_id, site, sample_kind, missing_volume_ul, missing_mass_ug
from {{ person_ref('biobank_sample') }} as sample
where conservation_status = 'not_conserved'
