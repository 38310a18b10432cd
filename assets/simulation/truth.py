"""What is true, what was planted and what should become of it: `truth/*.parquet`.

Belongs here: the tables a test compares a lake with. They hold direct identifiers: they never go near a lake
root. Does not belong here: how a lake is judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.clinical import DAY_MINUTES
from assets.simulation.consent import EVENT_TYPES, FORMS
from assets.simulation.country import FEEDS, SITES
from assets.simulation.errors import KINDS, is_true
from assets.simulation.frame import NEVER, Array, Flags, Frame, Ints
from assets.simulation.identities import patient_keys, patient_texts, record_texts, texts_by_site
from assets.simulation.kernels import choose, either
from assets.simulation.outbox import Finished
from assets.simulation.physiology import true_egfr
from assets.simulation.population import ARMS, ROLES
from assets.simulation.render_deaths import causes, registered
from assets.simulation.render_emr import both_pressures, lab_texts
from assets.simulation.truth_claims import claims_table
from assets.simulation.truth_devices import images_table, points_table
from assets.simulation.units import COMPARATORS, at_limits


class Truth:
    """Writers of the truth tables, a row group a chunk."""

    def __init__(self, root: Path, delivery_ids: Sequence[str]) -> None:
        self._root = root
        self._ids = delivery_ids
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._fate: Counter[tuple[str, str, str, str, str]] = Counter()
        self._entity: dict[tuple[str, str], str] = {}
        self.planted: Counter[str] = Counter()
        root.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, table: pa.Table) -> None:
        """Append rows to `truth/<name>.parquet`."""
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(self._root / f"{name}.parquet", table.schema, compression="zstd", compression_level=1)
        self._writers[name].write_table(table)

    def note(self, chunk: Chunk, site: str, delivery: int, file: str, part: Rendered, rows: slice, before: int) -> None:
        """Record the planted errors among rows just written to a file that held `before` records."""
        self._entity[site, file] = part.entity
        plant = part.frame["plant"][rows]
        hit = np.flatnonzero(plant)
        if not len(hit):
            return
        kinds = [KINDS[k] for k in plant[hit]]
        count = len(hit)
        for kind in kinds:
            self.planted[kind.name] += 1
            if kind.expected in ("quarantined", "duplicate"):
                self._fate[site, self._ids[delivery], file, kind.expected, kind.reason or ""] += 1
        ids = part.ids if part.ids is not None else pa.nulls(len(part.frame), pa.string())
        self._planted(
            {
                "site": [site] * count,
                "feed": [FEEDS[site]] * count,
                "delivery_id": [self._ids[delivery]] * count,
                "file": [file] * count,
                "entity": [part.entity] * count
                if part.entities is None
                else part.entities.slice(rows.start, rows.stop - rows.start).take(pa.array(hit)).to_pylist(),
                "ordinal": before + hit + 1,
                "kind": [k.name for k in kinds],
                "expected": [k.expected for k in kinds],
                "reason": [k.reason for k in kinds],
                "person": chunk.people["person"][part.frame["owner"][rows][hit]],
                "record_id": ids.slice(rows.start, rows.stop - rows.start).take(pa.array(hit)).to_pylist(),
            }
        )

    def note_delivery(self, site: str, delivery_id: str, kind: str, expected: str, reason: str | None) -> None:
        """Record an error of a whole delivery."""
        self.planted[kind] += 1
        row = {
            "site": site,
            "feed": FEEDS[site],
            "delivery_id": delivery_id,
            "kind": kind,
            "expected": expected,
            "reason": reason,
        }
        self._planted({name: [row.get(name)] for name in PLANTED.names})

    def _planted(self, columns: Mapping[str, Any]) -> None:
        self.add("planted_errors", pa.table(dict(columns), schema=PLANTED))

    def close(self, finished: Sequence[Finished], resend: str) -> None:
        """Write the expected counts of every file and close all tables.

        Guarantee: delivered = landed + quarantined + duplicate in every row of `expected_counts`.
        """
        reasons = sorted({k.reason for k in KINDS if k.reason})
        rows: list[dict[str, Any]] = []
        for file in finished:
            again = file.delivery == f"{resend}-resend"
            fate = {r: self._fate[file.site, file.delivery, file.name, "quarantined", r] for r in reasons}
            repeated = file.records if again else self._fate[file.site, file.delivery, file.name, "duplicate", ""]
            rows.append(
                {
                    "site": file.site,
                    "feed": FEEDS[file.site],
                    "delivery_id": file.delivery,
                    "file": file.name,
                    "entity": self._entity[file.site, file.name],
                    "bytes": file.size,
                    "delivered": file.records,
                    "landed": file.records - repeated - sum(fate.values()),
                    "quarantined": sum(fate.values()),
                    "duplicate": repeated,
                    **{f"quarantined_{r}": n for r, n in fate.items()},
                }
            )
        self.add("expected_counts", pa.Table.from_pylist(rows))
        for writer in self._writers.values():
            writer.close()


PLANTED = pa.schema(
    [
        ("site", pa.string()),
        ("feed", pa.string()),
        ("delivery_id", pa.string()),
        ("file", pa.string()),
        ("entity", pa.string()),
        ("ordinal", pa.int64()),
        ("kind", pa.string()),
        ("expected", pa.string()),
        ("reason", pa.string()),
        ("person", pa.int64()),
        ("record_id", pa.string()),
    ]
)


def write_truth(truth: Truth, chunk: Chunk, delivered: Mapping[str, Frame]) -> None:
    """All facts of one chunk."""
    truth.add("people", _people(chunk))
    facts = {name: frame.take(is_true(frame["plant"])) for name, frame in delivered.items()}
    labs = chunk.codes.labs
    facts["lab"] = both_pressures(facts["lab"], labs.number("sbp"), labs.number("dbp"))
    for name, frame in facts.items():
        truth.add(
            {
                "visit": "visits",
                "condition": "conditions",
                "drug": "drugs",
                "lab": "labs",
                "procedure": "procedures",
                "vaccination": "vaccinations",
                "allergy": "allergies",
            }[name],
            _facts(chunk, name, frame),
        )
    truth.add("deaths", _deaths(chunk))
    truth.add("consent_events", _consent_events(chunk))
    truth.add("consent_states", _consent_states(chunk))
    truth.add("cohort_inputs", _cohorts(chunk, facts))
    truth.add("claims", claims_table(chunk))
    truth.add("points", points_table(chunk))
    truth.add("images", images_table(chunk))


def _days(days: Ints) -> pa.Array:
    return pa.array(np.where(days < NEVER, days, 0).astype(np.int32), mask=days >= NEVER).cast(pa.date32())


def _times(minutes: Ints) -> pa.Array:
    return pa.array(minutes * 60_000_000).cast(pa.timestamp("us"))


def _people(chunk: Chunk) -> pa.Table:
    people, count = chunk.people, len(chunk.people)
    owner = np.arange(count)
    columns: dict[str, Any] = {
        "person": people["person"],
        "rrn": chunk.resident,
        "birth_date": _days(people["birth"]),
        "sex": choose(("M", "F"), people["female"]),
        "arm": choose(ARMS, people["arm"]),
        "is_foreign": people["foreign"],
        "family": people["family"],
        "role": choose(ROLES, people["role"]),
        "mother": pa.array(people["mother"], mask=people["mother"] < 0),
        "father": pa.array(people["father"], mask=people["father"] < 0),
        "enrolled_date": _days(np.where(people["has_consent"], people["enrolled"], NEVER)),
        "has_consent": people["has_consent"],
        "death_date": _days(people["death"]),
        "main_site": choose(SITES, people["main"]),
        "has_filler_resident_number": people["filler"],
    }
    for i, site in enumerate(SITES):
        for number, suffix in enumerate(("", "_2")):
            held = people["attends"][:, i] & ((number == 0) | (people["split"][:, i] < NEVER))
            text = patient_texts(patient_keys(people, owner, np.full(count, number)), seed=chunk.seed, site=site)
            columns[f"{site}_number{suffix}"] = either(held, text, None)
    for site, flag in (("w11", "wears"), ("h16", "imaged")):
        text = patient_texts(patient_keys(people, owner, 0 * owner), seed=chunk.seed, site=site)
        columns[f"{site}_number"] = either(people[flag], text, None)
    return pa.table(columns)


def _facts(chunk: Chunk, entity: str, frame: Frame) -> pa.Table:
    """One row a true record in its final version; Korean wall clock, values in the standard unit."""
    rows = {site: np.flatnonzero(frame["site"] == i) for i, site in enumerate(SITES)}
    columns: dict[str, Any] = {
        "person": chunk.people["person"][frame["owner"]],
        "site": choose(SITES, frame["site"]),
        "record_id": texts_by_site(frame["site"], {s: _record_texts(chunk, entity, frame.take(r), s) for s, r in rows.items()}, rows),
        "delivery_id": choose(chunk.country.delivery_ids, frame["delivery"]),
    }
    if entity != "visit":
        visit = chunk.events.visit["id"][frame["visit"]]
        texts = {s: record_texts(visit[r], seed=chunk.seed, site=s, entity="visit") for s, r in rows.items()}
        columns["visit_record_id"] = texts_by_site(frame["site"], texts, rows)
    return pa.table(columns | _fact_columns(chunk, entity, frame))


def _record_texts(chunk: Chunk, entity: str, frame: Frame, site: str) -> pa.StringArray:
    if entity == "lab" and site != "h11":
        return lab_texts(frame, seed=chunk.seed, site=site)
    return record_texts(frame["id"], seed=chunk.seed, site=site, entity=entity)


def _fact_columns(chunk: Chunk, entity: str, frame: Frame) -> dict[str, Any]:
    codes = chunk.codes
    if entity == "visit":
        kinds = choose(("outpatient", "inpatient", "emergency"), frame["kind"])
        return {
            "class": kinds,
            "started_at_kst": _times(frame["start"]),
            "ended_at_kst": _times(frame["end"]),
        }
    code = frame["code"]
    if entity == "condition":
        return {
            "key": choose(codes.conditions["key"], code),
            "kcd": choose(codes.conditions["kcd"], code),
            "date": _days(frame["day"]),
        }
    if entity == "drug":
        names = {name: choose(codes.drugs[name], code) for name in ("key", "edi", "rxnorm", "atc")}
        return names | {"date": _days(frame["day"]), "days_supply": frame["days"]}
    if entity == "procedure":
        return {"key": choose(codes.procedures["key"], code), "date": _days(frame["minute"] // DAY_MINUTES)}
    if entity == "vaccination":
        return {name: choose(codes.vaccines[name], code) for name in ("key", "cvx")} | {"given_at_kst": _times(frame["minute"])}
    if entity == "allergy":
        return {name: choose(codes.allergens[name], code) for name in ("key", "rxnorm")} | {"date": _days(frame["day"])}
    comparator, limited = at_limits(codes, code, frame["value"], frame["site"])
    creatinine: Flags = code == codes.labs.number("creatinine")
    egfr = true_egfr(chunk.people.take(frame["owner"]), chunk.course.take(frame["owner"]), frame["minute"] // DAY_MINUTES)
    return {
        "key": choose(codes.labs["key"], code),
        "loinc": choose(codes.labs["loinc"], code),
        "measured_at_kst": _times(frame["minute"]),
        "value": frame["value"],
        "unit": choose(codes.labs["unit"], code),
        "comparator": choose(COMPARATORS, comparator),
        "delivered_value": limited,
        "true_egfr": pa.array(np.round(egfr, 2), mask=~creatinine),
    }


def _deaths(chunk: Chunk) -> pa.Table:
    people = chunk.people.take(chunk.people["death"] < NEVER)
    known = people["knows"] & people["attends"]
    first, second = causes(people["person"])
    columns = {"person": people["person"], "death_date": _days(people["death"]), "cause": first, "external_cause": second}
    columns |= {f"known_at_{site}": known[:, i] for i, site in enumerate(SITES)}
    return pa.table(columns | {"known_at_a13": registered(chunk)[chunk.people["death"] < NEVER]})


def _consent_events(chunk: Chunk) -> pa.Table:
    event = chunk.consent.event
    scopes = [*chunk.country.consent["scopes"], "all"]
    return pa.table(
        {
            "person": chunk.people["person"][event["owner"]],
            "event_type": choose(EVENT_TYPES, event["type"]),
            "scope": choose(scopes, event["scope"] % len(scopes)),
            "form": choose(FORMS, event["form"]),
            "effective_date": _days(event["day"]),
            "valid_until_date": _days(event["until"]),
            "covers_from_date": _days(event["covers"]),
        }
    )


def _consent_states(chunk: Chunk) -> pa.Table:
    state = chunk.consent.state
    return pa.table(
        {
            "person": chunk.people["person"][state["owner"]],
            "scope": choose(chunk.country.consent["scopes"], state["scope"]),
            "active_from": _days(state["since"]),
            "active_until": _days(state["until"]),
            "covers_from_date": _days(state["covers"]),
            "ended_by": choose([None, *EVENT_TYPES], state["ending"] + 1),
        }
    )


def _cohorts(chunk: Chunk, facts: Mapping[str, Frame]) -> pa.Table:
    """Who truly has the two cohort diseases, what the records show of it, who agrees to clinical use."""
    people, course, codes = chunk.people, chunk.course, chunk.codes
    count, end = len(people), chunk.country.end
    alive = np.minimum(people["death"], end)
    condition, lab = facts["condition"], facts["lab"]
    state = chunk.consent.state
    active = (state["scope"] == 0) & (state["since"] <= end) & (state["until"] > end)
    columns: dict[str, Any] = {
        "person": people["person"],
        "has_clinical_consent": np.bincount(state["owner"][active], minlength=count) > 0,
    }
    for name, kind in (("t2dm", "diabetes"), ("ckd", "kidney")):
        coded = condition.take(np.isin(condition["code"], codes.conditions.kind(kind)))
        first = np.full(count, NEVER, dtype=np.int64)
        np.minimum.at(first, coded["owner"], coded["day"])
        columns[f"has_{name}"] = course[name] <= alive
        columns[f"{name}_onset_date"] = _days(np.where(course[name] <= alive, course[name], NEVER))
        columns[f"{name}_first_coded_date"] = _days(first)
        columns[f"{name}_coded_count"] = _count(coded["owner"], count)
    for key in ("hba1c", "creatinine"):
        columns[f"{key}_count"] = _count(lab["owner"][lab["code"] == codes.labs.number(key)], count)
    columns["final_true_egfr"] = np.round(true_egfr(people, course, alive), 2)
    return pa.table(columns)


def _count(owner: Array, count: int) -> Ints:
    return np.bincount(owner, minlength=count).astype(np.int64)
