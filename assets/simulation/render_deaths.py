"""Statistics office a13: the registry of deaths of everybody it may link, CSV in CP949 with Korean headers.

Belongs here: entries as rows, the errors planted in them, the cause of each death. Does not belong here: who dies and when (`population`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.errors import NUMBER
from assets.simulation.frame import NEVER, Flags, Frame, Ints, between, spread
from assets.simulation.kernels import choose, day_text, digits, either, render

SITE = "a13"
ENCODING = "cp949"
HEADERS: Mapping[str, str] = {
    "연계키.csv": "개인식별키,주민등록번호",
    "사망원인.csv": "개인식별키,신고일자,사망일자,사망원인1,사망원인2,사망장소,주소지_시군구,직업,취소여부",
}
_ENTRY = "@key@,@reported@,@day@,@cause@,@outer@,@place@,@region@,무직,\n"
_CAUSES = (("I21.9", ""), ("C34.9", ""), ("J18.9", ""), ("I63.9", ""), ("E14.9", ""), ("C16.9", ""), ("S06.5", "W19"), ("T71", "X70"))
_REGIONS = ("11110", "26110", "27110", "28110", "29110", "30110", "31110", "36110", "41111", "42110", "51110", "45111", "52111")
"""Gangwon and Jeonbuk under their old and under their new codes."""

_PLANTED = ("superseded", "before_birth", "duplicate", "impossible_date", "missing_id")


def render_deaths(chunk: Chunk) -> list[Rendered]:
    """Keys of everybody who agreed to linkage, and the entries of those who died."""
    return [_linkage(chunk), _entries(chunk)]


def causes(person: Ints) -> tuple[pa.StringArray, pa.StringArray]:
    """First and second cause of each person's death, KCD; the second is the external cause of an injury."""
    number = person % len(_CAUSES)
    return choose([c for c, _ in _CAUSES], number), choose([c for _, c in _CAUSES], number)


def registered(chunk: Chunk) -> Flags:
    """Whose death the registry tells."""
    return np.asarray(chunk.claims.linked & (chunk.people["death"] < NEVER), dtype=np.bool_)


def _keys(chunk: Chunk, owner: Ints) -> pa.StringArray:
    return digits(spread(chunk.people["person"][owner], digits=9, scope=SITE), 9)


def _linkage(chunk: Chunk) -> Rendered:
    owner = np.flatnonzero(chunk.claims.linked)
    none = np.zeros(len(owner), dtype=np.int64)
    key = _keys(chunk, owner)
    lines = render("@key@,@rrn@\n", key=key, rrn=chunk.resident.take(pa.array(owner)))
    return Rendered("linkage", "연계키.csv", Frame({"owner": owner, "delivery": none, "plant": none}), lines, key)


def _entries(chunk: Chunk) -> Rendered:
    frame = _delivered(chunk)
    owner, plant = frame["owner"], frame["plant"]
    person = chunk.people["person"][owner]
    key = either(plant == NUMBER["missing_id"], "", _keys(chunk, owner))
    first, second = causes(person)
    lines = render(
        _ENTRY,
        key=key,
        reported=day_text(frame["day"] + 3 + person % 20),
        day=either(plant == NUMBER["impossible_date"], "2023-02-30", day_text(frame["day"])),
        cause=first,
        outer=second,
        place=choose(("1", "2", "3", "9"), person % 4),
        region=choose(_REGIONS, person % len(_REGIONS)),
    )
    return Rendered("death", "사망원인.csv", frame, lines, key)


def _delivered(chunk: Chunk) -> Frame:
    """Entries in order of delivery, with the planted ones.

    A false entry is an additional copy, except for a wrong day that a later delivery corrects under the same key; a day before birth is told of
    somebody who lives.
    """
    rng, people, country = chunk.setting.stream("errors/deaths"), chunk.people, chunk.country
    dead, alive = np.flatnonzero(registered(chunk)), np.flatnonzero(chunk.claims.linked & (people["death"] >= NEVER))
    day = people["death"][dead]
    none = np.zeros(len(dead), dtype=np.int64)
    frame = Frame({"owner": dead, "day": day, "delivery": country.delivery_of(day), "plant": none})
    taken = np.zeros(len(dead), dtype=np.bool_)
    parts = []
    for kind in _PLANTED:
        early = frame["delivery"] < country.last
        among = alive if kind == "before_birth" else np.flatnonzero(~taken & (early | (kind != "superseded")))
        count = max(int(rng.binomial(len(among), country.deaths["errors"][kind])), int(chunk.index == 0))
        rows = np.sort(rng.choice(among, min(count, len(among)), replace=False))
        if kind == "before_birth":
            parts.append(_before_birth(people["birth"][rows], rows))
            continue
        taken[rows] = True
        copies = frame.take(rows).having(plant=NUMBER[kind])
        if kind == "superseded":
            copies = copies.having(
                day=np.maximum(copies["day"] - between(rng, np.full(len(rows), 40), np.full(len(rows), 300)), people["birth"][dead[rows]])
            )
            frame["plant"][rows] = NUMBER["corrected"]
            frame["delivery"][rows] = country.last
        parts.append(copies)
    every = Frame.concat([frame, *parts])
    return every.take(np.argsort(every["delivery"], kind="stable"))


def _before_birth(birth: Ints, owner: Ints) -> Frame:
    return Frame(
        {
            "owner": owner,
            "day": birth - 3653,
            "delivery": np.zeros(len(owner), dtype=np.int64),
            "plant": np.full(len(owner), NUMBER["before_birth"], dtype=np.int64),
        }
    )
