select * from {{ raw_rows('redcap', 'dictionary_item') }} as redcap
union all
select * from {{ raw_rows('cdisc_odm', 'dictionary_item') }} as odm
