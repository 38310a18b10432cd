"""Consent service c01: one CSV of consent events for all hospitals, UTF-8.

Belongs here: consent events as rows, with the hospital numbers that only this service can tie to a person.
Does not belong here: the stories behind them (`consent`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.consent import ALL_SCOPES, EVENT_TYPES, FORMS, PROXY, TERMS, WITHDRAW
from assets.simulation.country import H12, H13, SITES
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Frame, Ints, spread, surrogate
from assets.simulation.identities import patient_keys, patient_texts
from assets.simulation.kernels import choose, day_text, digits, either, hexadecimal, render
from assets.simulation.population import ARMS

SITE = "c01"
HEADER = (
    "event_id,person_key,resident_number,site_id,patient_number,event_type,scope,form,form_version,arm,"
    "effective_date,valid_until,covers_from,permission,disease,modifiers,signer,signer_basis"
)
_EVENT = "@id@,@key@,@rrn@,@site@,@patient@,@type@,@scope@,@form@,@version@,@arm@,@day@,@until@,@covers@,@permission@,@disease@,@modifiers@,@signer@,@basis@\n"
_PLANTED = {
    "consent_impossible_date": "impossible_date",
    "consent_missing_person": "missing_person",
    "consent_duplicate": "duplicate",
}


def render_consent(chunk: Chunk) -> Rendered:
    """The service's file for one chunk."""
    frame = _delivered(chunk)
    people, owner = chunk.people, frame["owner"]
    ids = render("EV-@id@", id=hexadecimal(surrogate(frame["id"], seed=chunk.seed, scope="c01/event")))
    site, patient = _crosswalk(chunk, frame)
    nobody = frame["plant"] == NUMBER["missing_person"]
    scopes = [*chunk.country.consent["scopes"], "all"]
    lines = render(
        _EVENT,
        id=ids,
        key=either(
            nobody,
            "",
            render("BD-@n@", n=digits(spread(people["person"][owner], digits=10, scope="c01"), 10)),
        ),
        rrn=either(nobody | ~_names_resident(frame), "", chunk.resident.take(pa.array(owner))),
        site=either(nobody, "", site),
        patient=either(nobody, "", patient),
        type=choose(EVENT_TYPES, frame["type"]),
        scope=choose(scopes, np.where(frame["scope"] == ALL_SCOPES, len(scopes) - 1, frame["scope"])),
        form=choose(FORMS, frame["form"]),
        version=choose(("", "1.0", "2.0"), frame["version"]),
        arm=choose(ARMS, people["arm"][owner]),
        day=either(frame["plant"] == NUMBER["impossible_date"], "2023-02-30", day_text(frame["day"])),
        until=day_text(frame["until"]),
        covers=day_text(frame["covers"]),
        permission=choose([permission for _, permission, _, _ in TERMS], frame["terms"]),
        disease=choose([disease for _, _, disease, _ in TERMS], frame["terms"]),
        modifiers=choose([modifiers for *_, modifiers in TERMS], frame["terms"]),
        signer=choose(("", "parent"), frame["form"] == PROXY),
        basis=choose(("", "minor"), frame["form"] == PROXY),
    )
    return Rendered("event", "event.csv", frame, lines, ids)


def _delivered(chunk: Chunk) -> Frame:
    """Events in order of delivery, with the planted ones."""
    rng = chunk.setting.stream("errors/consent")
    event = chunk.consent.event
    recent = (event["type"] == WITHDRAW) & (event["day"] > chunk.country.cutoffs[0])
    frame = event.having(
        delivery=chunk.country.delivery_of(event["day"]),
        plant=np.where(recent, NUMBER["withdrawn_after_delivery"], 0),
    )
    parts = [frame]
    for name, kind in _PLANTED.items():
        rows = np.flatnonzero(frame["plant"] == 0)
        count = max(int(rng.binomial(len(rows), chunk.country.errors[name].rate)), int(chunk.index == 0))
        copies = frame.take(np.sort(rng.choice(rows, min(count, len(rows)), replace=False))).having(plant=NUMBER[kind])
        if kind != "duplicate":
            copies = copies.having(id=copies["id"] + (1 << 31))
        parts.append(copies)
    every = Frame.concat(parts)
    return every.take(np.argsort(every["delivery"], kind="stable"))


def _names_resident(frame: Frame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Grants always name the resident number; one in five later events knows only the service's own key."""
    return np.asarray((frame["slot"] >= 0) | (frame["id"] % 5 != 0), dtype=np.bool_)


def _crosswalk(chunk: Chunk, frame: Frame) -> tuple[pa.StringArray, pa.StringArray]:
    """Hospital and patient number of each row, null where there is nothing to tie.

    The slots of a person's grants carry, in this order: the first h13 number, the second after an identity
    split, the h12 number where that hospital has a filler for a resident number, those of w11 and h16.
    """
    people, owner, slot = chunk.people, frame["owner"], frame["slot"]
    at_omop = people["attends"][owner, H13].astype(np.int64)
    numbers = at_omop + (people["attends"][owner, H13] & (people["split"][owner, H13] < NEVER))
    omop = (slot >= 0) & (slot < numbers)
    keys = patient_keys(people, owner, np.where(omop, slot, 0))
    which: Ints = np.where(omop, 1, 0)
    for place, flag in enumerate(("filler", "wears", "imaged"), 2):
        which = np.where((slot == numbers) & people[flag][owner], place, which)
        numbers = numbers + people[flag][owner]
    sites = (SITES[H13], SITES[H12], "w11", "h16")
    texts = pa.nulls(len(owner), pa.string())
    for place, site in enumerate(sites, 1):
        texts = either(which == place, patient_texts(keys, seed=chunk.seed, site=site), texts)
    return choose((None, *sites), which), texts
