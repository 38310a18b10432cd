"""Genome centre g11: pedigrees of the families whose proband is a patient of h11, as PED with a header that names the proband.

Belongs here: lines, the errors planted in them, links of truth. Does not belong here: who is whose child (`population`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.country import H11
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Flags, Frame, Ints
from assets.simulation.identities import patient_keys, patient_texts
from assets.simulation.kernels import choose, digits, either, render
from assets.simulation.population import PROBAND

SITE, FILE = "g11", "families.ped"
HEADER = "#FID\tIID\tPAT\tMAT\tSEX\tPHENO1\tPROBAND"
_LINE = "F@family@\t@member@\t@father@\t@mother@\t@sex@\t@pheno@\t@proband@\n"
_PLANTED = ("duplicate", "missing_id")
_RATE = 0.02


def members(chunk: Chunk) -> Flags:
    """Patients of h11 whose family has its proband there, in families of more than one such patient."""
    people = chunk.people
    known = people["attends"][:, H11]
    family = people["family"] - people["family"].min()
    probands = np.zeros(family.max() + 1, dtype=np.bool_)
    probands[family[known & (people["role"] == PROBAND)]] = True
    sizes = np.bincount(family[known], minlength=len(probands))
    return np.asarray(known & probands[family] & (sizes[family] > 1), dtype=np.bool_)


def render_ped(chunk: Chunk) -> Rendered:
    """One line a member, with a few sent twice and a few without their number."""
    owner = np.flatnonzero(members(chunk))
    rng = chunk.setting.stream("errors/ped")
    frame = Frame({"owner": owner, "delivery": np.zeros(len(owner), np.int64), "plant": np.zeros(len(owner), np.int64)})
    copies = []
    for kind in _PLANTED if len(owner) else ():
        count = min(max(int(rng.binomial(len(owner), _RATE)), int(chunk.index == 0)), len(owner))
        copies.append(frame.take(np.sort(rng.choice(len(owner), count, replace=False))).having(plant=NUMBER[kind]))
    frame = Frame.concat([frame, *copies])
    people, owner = chunk.people, frame["owner"]
    member = _numbers(chunk, owner)
    lines = render(
        _LINE,
        family=digits(people["family"][owner], 9),
        member=either(frame["plant"] == NUMBER["missing_id"], "0", member),
        father=_parents(chunk, people["father"][owner]),
        mother=_parents(chunk, people["mother"][owner]),
        sex=choose(("1", "2"), people["female"][owner]),
        pheno=choose(("1", "2"), people["role"][owner] == PROBAND),
        proband=choose(("0", "1"), people["role"][owner] == PROBAND),
    )
    return Rendered("member", FILE, frame, lines, member)


def links_table(chunk: Chunk) -> pa.Table:
    """`truth/pedigree_links.parquet`: child, parent and relation, as far as both are in a pedigree."""
    people, listed = chunk.people, members(chunk)
    first = int(people["person"][0]) if len(people) else 0
    parts = []
    for column, relation in (("father", "KIN:028"), ("mother", "KIN:027")):
        parent = people[column]
        own = np.flatnonzero(listed & (parent >= 0))
        own = own[listed[parent[own] - first]]
        parts.append({"person": people["person"][own], "parent": parent[own], "relation": np.full(len(own), relation)})
    return pa.table({name: pa.array(np.concatenate([part[name] for part in parts])) for name in ("person", "parent", "relation")})


def _parents(chunk: Chunk, parent: Ints) -> pa.StringArray:
    """Number of a parent in the pedigree, else 0."""
    place = np.where(parent >= 0, parent - int(chunk.people["person"][0]) if len(chunk.people) else 0, 0)
    named = (parent >= 0) & members(chunk)[place]
    return either(~named, "0", _numbers(chunk, place))


def _numbers(chunk: Chunk, owner: Ints) -> pa.StringArray:
    return patient_texts(patient_keys(chunk.people, owner, np.zeros(len(owner), np.int64)), seed=chunk.seed, site="h11")
