"""One grant, one request: the worked examples of docs/DUO.md, and every permission with every pair of modifiers against the oracle."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from assets.governance.data_use import ORGANISATIONS, PURPOSES, DataRequest, judged_sql
from tests.conftest import REPOSITORY
from tests.unit.marts.test_consent_oracle import Event, permits

DAY = date(2024, 6, 1)
EXAMPLES = re.findall(
    r"^\| (\S+) \| (.+?) \| (.+?) \| (yes|no) \| (.*?) ?\|$", (REPOSITORY / "docs" / "DUO.md").read_text(encoding="utf-8"), re.MULTILINE
)
FLAGS = {
    "commercial": "is_commercial", "ethics": "has_ethics_approval", "genetic": "is_genetic_study", "publish": "will_publish",
    "collaborate": "will_collaborate", "return": "will_return_data",
}  # fmt: skip
MODIFIERS = (
    "RS", "NMDS", "GSO", "NPUNCU", "PUB", "COL", "IRB", "RTN", "CC", "NPOA", "NPU", "NCU", "GS=KR", "GS=US", "MOR=2026-01-01", "MOR=2027-01-01",
    "TS=2026-06-30", "TS=2026-12-31", "US=KIM", "US=LEE", "PS=P-1", "PS=P-2", "IS=SNUH", "IS=AMC",
)  # fmt: skip


def _request(text: str) -> DataRequest:
    """A request in the words of docs/DUO.md."""
    values: dict[str, Any] = {"purposes": [], "users": []}
    days = {"from": "publishes_from", "ends": "ends"}
    for word in text.split():
        name, _, value = word.partition("=")
        if word in PURPOSES:
            values["purposes"].append(word)
        elif word in FLAGS:
            values[FLAGS[word]] = True
        elif ":" in word:
            values["disease"] = word
        elif word == "for_profit":
            values["organisation"] = word
        elif name in days:
            values[days[name]] = date.fromisoformat(value)
        elif name == "user":
            values["users"].append(value)
        else:
            assert name in ("project", "institution", "country"), word
            values[name] = value
    plain = {"project": "P-1", "scopes": ("clinical",), "organisation": "not_for_profit", "day": DAY}
    return DataRequest(**{**plain, **values, "purposes": tuple(values["purposes"]), "users": tuple(values["users"])})


Grant = tuple[str, str | None, str | None]


def _grant(text: str) -> Grant:
    permission, *rest = text.split()
    disease = next((word for word in rest if ":" in word), None)
    return permission, disease, next((word for word in rest if ":" not in word), None)


def _judge(grants: list[Grant], requests: list[DataRequest]) -> list[dict[int, str | None]]:
    """Of each request: number of the grant -> what keeps it out, None where it is permitted. Every scope is granted in the same words."""
    with duckdb.connect() as connection:
        columns = ("permission_code", "disease_code", "modifier_codes")
        texts = {name: pa.array([g[k] for g in grants], pa.string()) for k, name in enumerate(columns)}
        connection.register("given", pa.table({"person_id": pa.array(range(len(grants)), pa.int32()), **texts}))
        connection.execute("create table grants as from given")
        connection.execute("""
            create table history as select grants.*, scope_code, date '2020-01-01' as in_force_from, date '9999-12-31' as in_force_to,
                null::date as withdrawn_date
            from grants, (values ('clinical'), ('commercial'), ('overseas'), ('recontact')) as scopes (scope_code)
        """)
        connection.execute(
            "create table relation as select person_id, 'consented' as legal_basis, permission_code, disease_code, modifier_codes from grants limit 0"
        )
        found = []
        for request in requests:
            judged = judged_sql(request, history="history", relation="relation")
            rows = connection.execute(f"select person_id, max(refusal) from ({judged}) group by person_id").fetchall()
            found.append(dict(rows))
        return found


def test_the_examples_speak_of_every_term_of_duo() -> None:
    assert len(EXAMPLES) > 60
    terms = {"NRES", "GRU", "HMB", "DS", "POA"} | {m.partition("=")[0] for m in MODIFIERS}
    for term in terms:
        answers = {answer for about, _, _, answer, _ in EXAMPLES if about == term}
        assert answers == ({"no"} if term == "RS" else {"yes"} if term in ("NRES", "CC") else {"yes", "no"}), term


def test_each_worked_example_is_answered_as_the_page_says() -> None:
    answers = _judge([_grant(grant) for _, grant, *_ in EXAMPLES], [_request(request) for _, _, request, *_ in EXAMPLES])
    wrong = [
        (*example, answers[n][n])
        for n, example in enumerate(EXAMPLES)
        if (answers[n][n] is None, answers[n][n] or "") != (example[3] == "yes", example[4])
    ]
    assert wrong == []


def _random_request(rng: random.Random) -> DataRequest:
    purposes = tuple(rng.sample(PURPOSES, rng.choice((1, 1, 2, 3))))
    days = (None, date(2026, 1, 1), date(2026, 6, 30), date(2026, 12, 31), date(2027, 1, 1))
    return DataRequest(
        rng.choice(("P-1", "p-2", "P-3")), purposes, ("clinical",), rng.choice(ORGANISATIONS), DAY,
        disease=rng.choice(("KCD:E11", "KCD:E11.9", "KCD:C50", "MONDO:0005148")) if "disease" in purposes else None,
        institution=rng.choice(("", "snuh", "AMC")), users=tuple(rng.sample(("kim", "lee"), rng.randrange(3))), country=rng.choice(("KR", "US", "JP")),
        publishes_from=rng.choice(days), ends=rng.choice(days), **{flag: rng.random() < 0.5 for flag in FLAGS.values()},
    )  # fmt: skip


def _try(count: int, seed: int) -> int:
    """Compare every permission, disease and pair of modifiers with the oracle, for random requests; returns how many answers there were."""
    rng = random.Random(seed)
    pairs = [None, *MODIFIERS, *(";".join(pair) for pair in itertools.permutations(MODIFIERS, 2))]
    said = [(p, None) for p in ("NRES", "GRU", "HMB", "POA")] + [("DS", d) for d in ("KCD:E11", "KCD:C5", "MONDO:0005148")]
    grants: list[Grant] = [(permission, disease, modifiers) for permission, disease in said for modifiers in pairs]
    requests = [_random_request(rng) for _ in range(count)]
    plain = Event(0, 0, "grant", "clinical", DAY, None, None, None, None, None, None, None, None, None)
    events = [replace(plain, stated_permission_code=p, disease_code=d, stated_modifier_codes=m) for p, d, m in grants]
    permitted = 0
    for request, found in zip(requests, _judge(grants, requests), strict=True):
        expected = [permits(event, request) for event in events]
        different = [(grants[n], found[n]) for n, is_good in enumerate(expected) if (found[n] is None) != is_good]
        assert different == [], request
        permitted += sum(expected)
    assert permitted > len(grants) * count // 50, "the requests are too bold to try anything"
    return len(grants) * count


def test_every_pair_of_modifiers_agrees_with_the_oracle() -> None:
    assert _try(15, seed=7) > 60_000


@pytest.mark.slow
def test_every_pair_of_modifiers_agrees_with_the_oracle_for_many_requests() -> None:
    assert _try(1_000, seed=8) > 4_000_000
