-- Which people a site has named, of those whose clinical records may be read.
select
    person_id,
    person_bucket,
    site
from {{ consented_rows('people', 'sighting') }} as sighting
