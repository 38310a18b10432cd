select *
from {{ consented_rows('biobank_participants', 'participant', event_date='assessed_date') }} as participant
