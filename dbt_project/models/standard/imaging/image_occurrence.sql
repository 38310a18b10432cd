{{ config(partition_by='person_bucket') }}

-- Instances of one series should agree; where they do not, the least value speaks, so that the order of files does not matter.
select
    {{ surrogate_id(['site', 'series_id', 'person_id']) }} as image_occurrence_id,
    person_id,
    min(series_date) as image_occurrence_date,
    study_id as image_study_id,
    series_id as image_series_id,
    min(modality_code) as modality_source_value,
    min(body_part_code) as anatomic_site_source_value,
    min(laterality_code) as laterality_source_value,
    min(study_date) as study_date,
    min(manufacturer_name) as manufacturer_name,
    min(model_name) as model_name,
    cast(count(*) as integer) as instance_count,
    cast(sum(frames_count) as bigint) as frame_count,
    max(rows_count) as rows_count,
    max(columns_count) as columns_count,
    min(slice_thickness_mm) as slice_thickness_mm,
    bool_or(coalesce(burned_in_annotation_code, '') = 'YES') as has_burned_in_annotation,
    bool_and(coalesce(burned_in_annotation_code, '') = 'NO') as is_free_of_burned_in_annotation,
    count(distinct modality_code) > 1 as has_mixed_modality,
    site,
    person_bucket
from {{ ref('stg_dicom__instances') }}
group by person_id, person_bucket, site, study_id, series_id
