"""People and record numbers of one parsed delivery: identifiers in, surrogates out.

Belongs here: reading the child's spool and replacing identifiers. Does not belong here: how people are kept (`assets/privacy/vault`).
The spool is the last place where an identifier stands beside data; it is deleted when the delivery is landed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.contracts.table import ERASED, NOBODY, Column, Contract, Entity
from assets.landing.parents import ParentPeople
from assets.privacy.barrier import SHORTEST_NAME, withhold
from assets.privacy.demographics import Demographics, normalise
from assets.privacy.pseudonyms import RecordSurrogates
from assets.privacy.residents import normalise_resident_number
from assets.privacy.scrub import DEMOGRAPHIC_PREFIX, EntityRules, Rule
from assets.privacy.vault import LOCAL, RESIDENT, Identifier, PersonRef, Resolution, Vault
from assets.sites.site import is_site_id

_PREFIX = "_identity_"
_JOIN = "\x1f"


def read_spool(*paths: Path) -> Iterator[pa.RecordBatch]:
    """Batches of one spooled entity, read one by one, file after file. Not mapped: pages of a mapped file count as memory of the process."""
    for path in paths:
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
            yield from reader


def resolve_people(
    vault: Vault, spool: Path, *, contract: Contract, rules: Mapping[str, EntityRules], site: str, delivery: str, sequence: int = 0,
    unheard: Callable[[Resolution], Collection[str]] = lambda _: (),
) -> Resolution:  # fmt: skip
    """Resolve every identifier of a delivery, each distinct one once.

    Args:
        vault: The open vault.
        spool: The child's output folder.
        contract: Contract of the family.
        rules: Allow-lists of the family.
        site: Delivering site.
        delivery: Delivery key, for sightings and merge events.
        sequence: Sender's number of the delivery: the newest demographics of a person at a site hold.
        unheard: Local identifiers of people of whom no demographics are kept, because they have withdrawn.
    """
    groups: list[list[Identifier]] = []
    weak: list[tuple[str, str]] = []
    references: set[str] = set()
    said: dict[str, Demographics] = {}
    for name in contract.entities:
        path = spool / f"{name}.arrow"
        if not path.exists() or name not in rules:
            continue
        person_columns = [r.column for r in rules[name].rules.values() if r.verb == "person"]
        seen: set[tuple[object, ...]] = set()
        for batch in read_spool(path):
            if rules[name].identity:
                _collect_identities(batch, rules[name], site, groups, weak, seen)
            for column in person_columns:
                references.update(v for v in pc.unique(batch[column]).to_pylist() if v is not None)
        if rules[name].demographics:
            said |= _demographics(path, rules[name])
    found = vault.resolve(site=site, delivery=delivery, groups=groups, locals_=references, weak=weak)
    found.names = frozenset(words.name for words in said.values() if len(words.name) >= SHORTEST_NAME)
    if said:
        without = unheard(found)
        homes = {local: home.person_id for local, home in found.homes.items() if home.bucket != ERASED and local not in without}
        vault.keep_demographics(site, sequence, {homes[local]: words for local, words in said.items() if local in homes})
    return found


def _demographics(path: Path, rules: EntityRules) -> dict[str, Demographics]:
    """What rows say of a person; the last row that says anything holds. Of most people only the last row is looked at."""
    last: dict[str | None, int] = {}
    position = 0
    for batch in read_spool(path):
        last.update(zip(batch[_PREFIX + LOCAL].to_pylist(), range(position, position + batch.num_rows), strict=True))
        position += batch.num_rows
    last.pop(None, None)
    said, silent = _described(path, rules, np.array(sorted(last.values()), np.int64))
    if silent:
        found, _ = _described(path, rules, None, only=pa.array(sorted(silent), pa.string()))
        said |= found
    return said


def _described(
    path: Path, rules: EntityRules, places: np.ndarray | None, *, only: pa.Array | None = None
) -> tuple[dict[str, Demographics], set[str]]:
    """(what rows at some places, or those of some people, say; of whom they say nothing)."""
    said: dict[str, Demographics] = {}
    silent: set[str] = set()
    names = [_PREFIX + LOCAL, *(_PREFIX + DEMOGRAPHIC_PREFIX + field for field in rules.demographics)]
    position = 0
    for whole in read_spool(path):
        batch = whole.select(names)
        if places is not None:
            first, behind = np.searchsorted(places, (position, position + batch.num_rows))
            batch = batch.take(pa.array(places[first:behind] - position))
        if only is not None:
            batch = batch.filter(pc.is_in(batch[0], value_set=only))
        position += whole.num_rows
        for local, *values in dict.fromkeys(zip(*(column.to_pylist() for column in batch.columns), strict=True)):
            words = normalise(dict(zip(rules.demographics, values, strict=True)))
            if words.says_anything:
                said[local] = words
            else:
                silent.add(local)
    return said, silent


def _collect_identities(
    batch: pa.RecordBatch,
    rules: EntityRules,
    site: str,
    groups: list[list[Identifier]],
    weak: list[tuple[str, str]],
    seen: set[tuple[object, ...]],
) -> None:
    """Identifiers that rows name together; what is in `seen` was said before, as by most messages of one patient."""
    columns = [_hashable(batch[_PREFIX + system]) for system in rules.identity]
    for row in dict.fromkeys(zip(*columns, strict=True)):
        values = dict(zip(rules.identity, row, strict=True))
        local = values[LOCAL]
        if local is None or row in seen:
            continue
        seen.add(row)
        group = [Identifier(LOCAL, site, local)]
        for system, value in values.items():
            if system == LOCAL or value is None:
                continue
            if system == RESIDENT:
                number = normalise_resident_number(value)
                group += [Identifier(RESIDENT, "", number)] if number else []
            elif system == "prior":  # a merge: another number of the same person at this site
                group += [Identifier(LOCAL, site, value)]
            elif system == "at_site":
                at, _, number = value.partition(_JOIN)
                group += [Identifier(LOCAL, at, number)] if is_site_id(at) and number else []
            else:
                weak += [(local, f"{v}") for v in (value if isinstance(value, tuple) else [f"{system}|{value}"])]
        groups.append(group)


def _hashable(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return [v if v is None else tuple(v) for v in values] if pa.types.is_list(column.type) else values


@dataclass
class Pseudonymiser:
    """Turns spooled batches of one entity into raw batches.

    Attributes:
        entity: Contract of the raw table.
        rules: Its allow-list, or None for rows that hold only record numbers (tombstones).
        surrogates: Record surrogates of the site.
        people: Local identifier -> person.
        parents: Records that other records of the delivery take their person from.
        names: Names of people that the delivery tells: where a code belongs they do not pass.
        withheld: Column -> values that did not pass, because they look like a person's identifier.
    """

    entity: Entity
    rules: Mapping[str, Rule]
    surrogates: RecordSurrogates
    people: Mapping[str, PersonRef]
    parents: ParentPeople | None = None
    names: frozenset[str] = frozenset()
    withheld: Counter[str] = field(default_factory=Counter)

    @property
    def parent_rule(self) -> Rule | None:
        """The rule by which rows take the person of another record, if the table has one."""
        return next((r for r in self.rules.values() if r.verb == "person_of"), None)

    @property
    def spooled(self) -> list[str]:
        """Contract columns that the spool holds."""
        return [c.name for c in self.entity.columns if self.rules[c.name].verb != "person_of"]

    @property
    def has_record_ids(self) -> bool:
        """Has the table a record id?"""
        return "record_id" in self.rules

    def record_ids(self, batch: pa.RecordBatch) -> pa.Array:
        """Surrogates of the record's own id."""
        if self.entity.name == "tombstone":
            return self._tombstones(batch)
        return self.surrogates.column(batch["record_id"], str(self.rules["record_id"].scope))

    def _tombstones(self, batch: pa.RecordBatch) -> pa.Array:
        """A deleted resource has the scope of its own type."""
        out = np.zeros(batch.num_rows, np.int64)
        for scope in pc.unique(batch["_scope"]).to_pylist():
            mask = pc.equal(batch["_scope"], scope).to_numpy(zero_copy_only=False)
            out[mask] = self.surrogates.column(batch["record_id"].filter(pa.array(mask)), scope).to_numpy()
        return pa.array(out)

    def columns(self, batch: pa.RecordBatch, record_ids: pa.Array | None) -> dict[str, pa.Array]:
        """Contract columns without any identifier, and `person_bucket` for person-level tables."""
        out: dict[str, pa.Array] = {}
        for column in self.entity.columns:
            rule = self.rules[column.name]
            if column.name == "record_id" and record_ids is not None:
                out[column.name] = record_ids
            elif rule.verb == "person":
                out[column.name], out["person_bucket"] = self._people(batch[column.name])
            elif rule.verb == "person_of":
                continue
            elif rule.verb == "aliases":
                out[column.name] = self.surrogates.lists(batch[column.name], str(rule.scope))
            elif rule.verb in ("record", "key"):
                out[column.name] = self.surrogates.column(batch[column.name], str(rule.scope))
            else:
                out[column.name] = self._passed(column, batch[column.name])
        if (parent := self.parent_rule) is not None and self.parents is not None:
            out[parent.column], out["person_bucket"] = self.parents.of(out[parent.path])
        return out

    def _passed(self, column: Column, values: pa.Array) -> pa.Array:
        """A column that passes as it is, but for values that look like an identifier."""
        passed, count = withhold(values.cast(column.arrow_type), column.name, required=column.required, names=self.names)
        if count:
            self.withheld[column.name] += count
        return passed

    def _people(self, references: pa.Array) -> tuple[pa.Array, pa.Array]:
        encoded = references.dictionary_encode()
        found = [self.people[value] for value in encoded.dictionary.to_pylist()]
        ids = pa.array([p.person_id for p in found], pa.int64())
        buckets = pa.array([p.bucket for p in found], pa.int32())
        return ids.take(encoded.indices), pc.fill_null(buckets.take(encoded.indices), NOBODY)


SHARE_ROWS = 1_000_000
"""Rows that are sorted at a time. Memory of a sort is five times that of what it sorts, and a delivery may be of any size."""


def _shares(ids: np.ndarray) -> Iterator[np.ndarray]:
    """Positions of all rows, ascending in each of several parts; rows of one id are in the same part."""
    parts = 1 << max(0, (len(ids) // SHARE_ROWS).bit_length())
    if parts == 1:
        yield np.arange(len(ids))
        return
    part_of = (ids & (min(parts, 256) - 1)).astype(np.uint8)
    for part in range(min(parts, 256)):
        yield np.flatnonzero(part_of == part)


def number_repeats(ids: np.ndarray) -> np.ndarray:
    """Give rows that share a natural key different ids: the k-th repeat gets a fixed mix of key and k.

    Args:
        ids: Hashed natural keys, int64, in delivery order.

    Returns:
        int64 of the same length; first occurrences keep their value.
    """
    places = repeated_rows(ids)
    if not len(places):
        return ids
    out, repeated = ids.copy(), ids[places]
    for share in _shares(repeated):
        own = repeated[share]
        order = np.argsort(own, kind="stable")
        ranked = own[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        occurrence = np.arange(len(own)) - np.repeat(starts, np.diff(np.r_[starts, len(own)]))
        mixed = (ranked.astype(np.uint64) + occurrence.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) & np.uint64(0x7FFFFFFFFFFFFFFF)
        out[places[share[order]]] = np.where(occurrence == 0, ranked, mixed.astype(np.int64))
    return out


def repeated_rows(ids: np.ndarray) -> np.ndarray:
    """Positions of all rows whose id occurs more than once, ascending. Empty for unique ids.

    Sorting ids costs a sixth of sorting their positions, so positions are sorted only where ids repeat.
    """
    found = [np.empty(0, np.int64)]
    for places in _shares(ids):
        own = ids[places]
        ranked = np.sort(own)
        if not (ranked[1:] == ranked[:-1]).any():
            continue
        order = np.argsort(own)
        ranked = own[order]
        same = ranked[1:] == ranked[:-1]
        found.append(places[order[np.r_[same, False] | np.r_[False, same]]])
    return np.sort(np.concatenate(found))
