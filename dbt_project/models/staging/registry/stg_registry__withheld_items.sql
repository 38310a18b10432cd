select * from {{ raw_rows('redcap', 'withheld_item') }} as redcap
union all
select * from {{ raw_rows('cdisc_odm', 'withheld_item') }} as odm
