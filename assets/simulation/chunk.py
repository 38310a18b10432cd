"""One chunk of people with everything known of them, and what a renderer makes of it.

Belongs here: the data passed between generators and renderers, the roster of patients. Does not belong here:
drawing or formatting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets.simulation.claims import Claims
from assets.simulation.clinical import DAY_MINUTES, Events
from assets.simulation.codes import Codes
from assets.simulation.consent import Consent
from assets.simulation.country import SITES, Country
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Frame, Ints
from assets.simulation.registry import Registry
from assets.simulation.setting import Setting


@dataclass(frozen=True)
class Chunk:
    """Everything true about one chunk of people. `resident` and `names` hold direct identifiers."""

    setting: Setting
    people: Frame
    course: Frame
    events: Events
    consent: Consent
    claims: Claims
    resident: pa.StringArray
    names: pa.RecordBatch
    points: Frame
    images: Frame
    registry: Registry

    @property
    def country(self) -> Country:
        """Parameters of the country."""
        return self.setting.country

    @property
    def codes(self) -> Codes:
        """Code lists."""
        return self.setting.codes

    @property
    def seed(self) -> int:
        """Seed of the country."""
        return self.setting.seed

    @property
    def index(self) -> int:
        """Number of the chunk, from 0."""
        return self.setting.chunk


@dataclass(frozen=True)
class Rendered:
    """Records of one file of one hospital, for one chunk, in order of delivery.

    Attributes:
        entity: Kind of record in truth: patient, visit, condition, drug, procedure, lab, tombstone, event ...
        name: File name; `{part:03d}` is filled in where a file is sent in parts.
        frame: `owner`, `delivery` and `plant` of each record.
        body: One line a record (text), the rows of a table, or the bytes of a file that is one record.
        ids: Record numbers as the site writes them, null where there is none.
        entities: Kind of each record, where a file holds several.
    """

    entity: str
    name: str
    frame: Frame
    body: pa.StringArray | pa.Table | bytes
    ids: pa.StringArray | None = None
    entities: pa.StringArray | None = None


def registrations(people: Frame, visit: Frame) -> Frame:
    """Patient numbers of all hospitals and the day each was given.

    Args:
        people: The chunk's people.
        visit: True visits in order of person and time.

    Returns:
        One row a patient number: `owner`, `site`, `number`, `day`: that of the first visit under the number;
        without a visit the day of enrolment, or of the identity split.
    """
    sites = len(SITES)
    first_visit = np.full((len(people), sites, 2), NEVER, dtype=np.int64)
    place = (visit["owner"] * sites + visit["site"]) * 2 + visit["number"]
    seen, position = np.unique(place, return_index=True)
    first_visit.reshape(-1)[seen] = visit["start"][position] // DAY_MINUTES
    split = people["split"]
    fallback = np.stack([np.minimum(np.repeat(people["enrolled"][:, None], sites, axis=1), split - 1), split], axis=2)
    has_number = np.stack([people["attends"], people["attends"] & (split < NEVER)], axis=2)
    day = np.where(first_visit < NEVER, first_visit, np.maximum(fallback, people["birth"][:, None, None]))
    owner, site, number = np.nonzero(has_number)
    return Frame({"owner": owner, "site": site, "number": number, "day": day[owner, site, number]})


def roster(country: Country, people: Frame, registered: Frame) -> Frame:
    """Versions of the patient records: one at registration, one more where a later delivery brings the death.

    Returns:
        `registered` with `delivery`, `plant` and `died` (the version names the day of death), in order of
        delivery.
    """
    delivery = country.delivery_of(registered["day"])
    owner, site = registered["owner"], registered["site"]
    death = np.where(people["knows"][owner, site], people["death"][owner], NEVER)
    heard = np.where(death < NEVER, country.delivery_of(death), NEVER)
    kind: Ints = np.where(
        registered["number"] == 1,
        NUMBER["identity_split"],
        np.where(people["filler"][owner] & (site == 1), NUMBER["filler_resident_number"], 0),
    )
    first = registered.having(delivery=delivery, plant=kind, died=heard <= delivery)
    later = heard[(heard < NEVER) & (heard > delivery)]
    update = first.take((heard < NEVER) & (heard > delivery))
    update = update.having(delivery=later, plant=NUMBER["death_update"], died=np.ones(len(later), dtype=np.bool_))
    every = Frame.concat([first, update])
    return every.take(np.argsort(every["delivery"], kind="stable"))
