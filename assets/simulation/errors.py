"""Planted errors: records that arrive late, twice, wrong, corrected, taken back or unusable.

Belongs here: the closed list of kinds, what a lake should make of each, the choice of rows. Does not belong
here: how a damaged record looks in a format (the renderers), how many there are (`country.toml`).

A record that must not land, or that says something false, is always an additional copy under a number of its
own: every true event is also delivered once in good order, so `truth/` holds whatever a lake does with the
errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets.simulation.clinical import DAY_MINUTES, Events
from assets.simulation.country import SITES
from assets.simulation.frame import NEVER, Flags, Frame, Ints, between, draw_rows
from assets.simulation.identities import ORPHAN
from assets.simulation.setting import Setting


@dataclass(frozen=True)
class Kind:
    """One kind of planted error.

    Attributes:
        name: Kind, as in `truth/planted_errors.parquet`.
        expected: What a lake makes of the record: landed, corrected, tombstone, quarantined, unmapped,
            converted, implausible, excluded, unconsented, duplicate, merged, crosswalk, withdrawn, withheld or flagged.
        reason: Code in `assets/formats/reasons.py`, null unless quarantined.
    """

    name: str
    expected: str
    reason: str | None = None


KINDS: tuple[Kind, ...] = (
    Kind("", "landed"),
    Kind("late", "landed"),
    Kind("superseded", "corrected"),
    Kind("corrected", "corrected"),
    Kind("deleted_later", "tombstone"),
    Kind("delete_notice", "tombstone"),
    Kind("retracted_later", "tombstone"),
    Kind("retraction", "tombstone"),
    Kind("impossible_date", "quarantined", "invalid_date"),
    Kind("missing_date", "quarantined", "missing_value"),
    Kind("missing_person", "quarantined", "missing_person"),
    Kind("missing_id", "quarantined", "missing_key"),
    Kind("bad_json", "quarantined", "invalid_json"),
    Kind("ragged_row", "quarantined", "ragged_row"),
    Kind("encoding_break", "quarantined", "encoding"),
    Kind("unknown_code", "unmapped"),
    Kind("unit_other", "converted"),
    Kind("unit_missing", "converted"),
    Kind("unit_wrong", "implausible"),
    Kind("before_birth", "excluded"),
    Kind("after_death", "excluded"),
    Kind("orphan_person", "unconsented"),
    Kind("duplicate", "duplicate"),
    Kind("identity_split", "merged"),
    Kind("filler_resident_number", "crosswalk"),
    Kind("death_update", "corrected"),
    Kind("withdrawn_after_delivery", "withdrawn"),
    Kind("duplicate_delivery", "duplicate"),
    Kind("claim_late", "landed"),
    Kind("claim_superseded", "corrected"),
    Kind("claim_corrected", "corrected"),
    Kind("claim_masked_code", "unmapped"),
    Kind("claim_truncated_code", "unmapped"),
    Kind("claim_unknown_code", "unmapped"),
    Kind("claim_after_death", "flagged"),
    Kind("claim_duplicate", "duplicate"),
    Kind("claim_bad_date", "quarantined", "invalid_date"),
    Kind("claim_missing_person", "quarantined", "missing_person"),
    Kind("claim_orphan_line", "quarantined", "missing_parent"),
    Kind("claim_ragged", "quarantined", "ragged_row"),
    Kind("claim_encoding", "quarantined", "encoding"),
    Kind("document_again", "duplicate"),
    Kind("document_encoding", "quarantined", "encoding"),
    Kind("document_cut", "quarantined", "invalid_document"),
    Kind("document_doctype", "quarantined", "xml_doctype"),
    Kind("point_unit", "quarantined", "unit_not_allowed"),
    Kind("point_time", "quarantined", "invalid_date_time"),
    Kind("point_schema", "quarantined", "unknown_schema"),
    Kind("point_nobody", "quarantined", "missing_person"),
    Kind("point_again", "duplicate"),
    Kind("image_again", "duplicate"),
    Kind("image_nobody", "quarantined", "missing_person"),
    Kind("image_no_series", "quarantined", "missing_value"),
    Kind("image_date", "quarantined", "invalid_date"),
    Kind("image_burned_in", "flagged"),
    Kind("lims_volume_off", "flagged"),
    Kind("lims_position_twice", "flagged"),
    Kind("lims_unknown_parent", "flagged"),
    Kind("lims_duplicate", "duplicate"),
    Kind("lims_bad_date", "quarantined", "invalid_date"),
    Kind("lims_missing_person", "quarantined", "missing_person"),
    Kind("lims_ragged", "quarantined", "ragged_row"),
    Kind("registry_ragged", "quarantined", "ragged_row"),
    Kind("registry_encoding", "quarantined", "encoding"),
    Kind("registry_withheld", "withheld"),
)
NUMBER = {kind.name: i for i, kind in enumerate(KINDS)}

_IN_PLACE = ("late", "unit_other", "unit_missing")
_TAKEN_BACK = {"deleted_later": "delete_notice", "retracted_later": "retraction"}
_OTHER_WIDTH = ("ragged_row", "claim_ragged", "lims_ragged", "registry_ragged")
_OTHER_BYTES = ("encoding_break", "claim_encoding", "document_encoding", "registry_encoding")
_SECOND_UNIT = ("hba1c", "creatinine", "glucose")


def deliver(setting: Setting, people: Frame, events: Events) -> dict[str, Frame]:
    """All versions of all records, in the order of delivery.

    Returns:
        Entity -> rows as delivered: the columns of `Events` and `delivery` (index), `plant` (number in KINDS)
        and `removed` (the record is taken back).
    """
    visit = _as_delivered(events.visit, setting.country.delivery_of(events.visit["end"] // DAY_MINUTES))
    found = {"visit": visit}
    for entity in ("condition", "drug", "procedure", "lab", "vaccination", "allergy"):
        frame: Frame = getattr(events, entity)
        found[entity] = _as_delivered(frame, visit["delivery"][frame["visit"]])
    return {entity: _Planting(setting, people, entity, frame).result() for entity, frame in found.items()}


def _as_delivered(frame: Frame, delivery: Ints) -> Frame:
    none = np.zeros(len(frame), dtype=np.int64)
    return frame.having(delivery=delivery, plant=none, removed=none.astype(np.bool_))


class _Planting:
    """Plants every kind that `country.toml` names for one entity; a record carries at most one kind."""

    def __init__(self, setting: Setting, people: Frame, entity: str, frame: Frame) -> None:
        self._setting, self._people, self._entity, self._frame = setting, people, entity, frame
        self._rng = setting.stream(f"errors/{entity}")
        self._plant, self._delivery = frame["plant"].copy(), frame["delivery"].copy()
        self._taken = np.zeros(len(frame), dtype=np.bool_)
        self._extra: list[Frame] = []
        self._made = 0

    def result(self) -> Frame:
        """The rows with all that was planted, in order of delivery."""
        for kind, spec in self._setting.country.errors.items():
            for site, entity in spec.at:
                if entity == self._entity and site in SITES:
                    self._plant_kind(kind, SITES.index(site), spec.rate)
        every = Frame.concat([self._frame.having(plant=self._plant, delivery=self._delivery), *self._extra])
        return every.take(np.argsort(every["delivery"], kind="stable"))

    def _plant_kind(self, kind: str, site: int, rate: float) -> None:
        usable = (self._frame["site"] == site) & ~self._taken & self._eligible(kind)
        rows = draw_rows(self._rng, usable, rate, at_least_one=self._setting.chunk == 0)
        self._taken[rows] = True
        if kind == "superseded":
            self._correct(rows)
        elif kind == "duplicate":
            self._extra.append(self._frame.take(rows).having(plant=NUMBER[kind]))
        elif kind in _IN_PLACE:
            self._plant[rows] = NUMBER[kind]
            if kind == "late":
                self._delivery[rows] = self._later(self._delivery[rows])
        else:
            self._copy(kind, rows)

    def _later(self, delivery: Ints) -> Ints:
        return between(self._rng, delivery + 1, np.full(len(delivery), self._setting.country.last))

    def _correct(self, rows: Ints) -> None:
        """Deliver a false version first and the true one later, under one number."""
        frame = self._frame.take(rows).having(plant=NUMBER["superseded"])
        uri = self._setting.codes.conditions.number("uri")
        if self._entity == "lab":
            frame = frame.having(value=np.round(frame["value"] * 1.4 + 1, 2))
        elif self._entity == "drug":
            frame = frame.having(days=frame["days"] + 10)
        else:
            frame = frame.having(code=uri)
        self._extra.append(frame)
        self._plant[rows] = NUMBER["corrected"]
        self._delivery[rows] = self._later(self._delivery[rows])

    def _copy(self, kind: str, rows: Ints) -> None:
        """Add false copies under numbers of their own; some are taken back later."""
        ids = self._setting.extra_ids(self._made, len(rows))
        self._made += len(rows)
        copies = self._altered(kind, self._frame.take(rows).having(id=ids, plant=NUMBER[kind]))
        self._extra.append(copies)
        if kind in _TAKEN_BACK:
            later = self._later(copies["delivery"])
            self._extra.append(copies.having(plant=NUMBER[_TAKEN_BACK[kind]], delivery=later, removed=True))

    def _eligible(self, kind: str) -> Flags:
        """Rows that may carry the kind."""
        frame, labs = self._frame, self._setting.codes.labs
        allowed = np.ones(len(frame), dtype=np.bool_)
        if kind in ("late", "superseded", *_TAKEN_BACK):
            allowed &= frame["delivery"] < self._setting.country.last
        if kind == "after_death":
            allowed &= self._people["death"][frame["owner"]] < NEVER
        if self._entity == "lab" and kind != "duplicate":
            allowed &= frame["code"] != labs.number("sbp")
        if kind in ("unit_other", "unit_missing"):
            allowed &= np.isin(frame["code"], [labs.number(k) for k in _SECOND_UNIT]) & ~frame["alternative"]
        if kind == "unit_wrong":
            allowed &= (frame["code"] == labs.number("creatinine")) & ~frame["alternative"]
        return allowed

    def _altered(self, kind: str, frame: Frame) -> Frame:
        """The false part of a copy that is a matter of values; damage to text is the renderers' part."""
        if kind == "unit_wrong":
            return frame.having(value=np.round(frame["value"] * 88.42, 1))
        if kind == "orphan_person":
            return frame.having(number=ORPHAN)
        if kind in _TAKEN_BACK and self._entity == "lab":
            return frame.having(value=np.round(frame["value"] * 1.2, 1))
        if kind in _TAKEN_BACK and self._entity == "condition":
            return frame.having(code=self._setting.codes.conditions.number("colon_ca"))
        if kind in ("before_birth", "after_death"):
            return self._outside_life(kind, frame)
        return frame

    def _outside_life(self, kind: str, frame: Frame) -> Frame:
        away = between(self._rng, np.full(len(frame), 30), np.full(len(frame), 300))
        life = self._people.take(frame["owner"])
        day = life["birth"] - away if kind == "before_birth" else life["death"] + away
        return frame.having(minute=day * DAY_MINUTES + 600) if self._entity == "lab" else frame.having(day=day)


def damage(lines: pa.StringArray, plant: Ints, encoding: str) -> dict[int, bytes]:
    """Lines whose text itself is broken: cut JSON, rows of the wrong width, bytes that no character has."""
    found: dict[int, bytes] = {}
    broken = np.isin(
        plant,
        [NUMBER[k] for k in ("bad_json", *_OTHER_WIDTH, *_OTHER_BYTES)],
    )
    for row in np.flatnonzero(broken).tolist():
        line = lines[row].as_py().encode(encoding)
        body = line.rstrip(b"\r\n")
        end = line[len(body) :]
        kind = KINDS[int(plant[row])].name
        if kind == "bad_json":
            body = body[: len(body) * 3 // 5].rstrip(b"{[,")  # a first line that ends so would be read as one document
        elif kind in _OTHER_WIDTH:
            mark = b";" if kind == "registry_ragged" else b","
            body = body.rsplit(mark, 2)[0] if row % 2 else mark.join((body, b"1", b"2"))
        else:
            body = body[: len(body) // 2] + b"\xff\xfe" + body[len(body) // 2 :]
        found[row] = body + end
    return found


def is_true(plant: Ints) -> Flags:
    """Rows that state a fact in its final form: everything but copies and superseded versions."""
    return np.isin(plant, [0, *(NUMBER[k] for k in (*_IN_PLACE, "corrected"))])
