"""Families: who leaves takes their own row and links along, the others stay; wherever people's buckets are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.marts.conftest import Marts

COLUMNS = (
    "member_id bigint, person_id bigint, site varchar, family_id bigint, father_member_id bigint, mother_member_id bigint, sex_code varchar,"
    " is_affected boolean, is_proband boolean, person_bucket integer"
)
FAMILY = [
    # member, person, father, mother, sex, affected, proband, bucket
    (1, 11, 2, 3, "female", True, True, 0),
    (2, 12, None, None, "male", False, False, 5),
    (3, 13, None, None, "female", True, False, 9),
    (4, 14, 2, 3, "male", False, False, 5),
]


def _trios(marts: Marts, members: list[tuple[Any, ...]]) -> dict[int, tuple[Any, ...]]:
    marts.db.execute(f"create or replace table stg_pedigree__members ({COLUMNS})")
    for member, person, father, mother, sex, affected, proband, bucket in members:
        values = [member, person, "h1", 7, father, mother, sex, affected, proband, bucket]
        marts.db.execute("insert into stg_pedigree__members values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    marts.build("pedigree_trio")
    rows = marts.rows("select * from pedigree_trio")
    return {r["person_id"]: (r["completeness_code"], r["father_person_id"], r["mother_person_id"], r["is_complete"]) for r in rows}


def test_both_children_are_complete_trios_and_parents_are_no_children(marts: Marts) -> None:
    assert _trios(marts, FAMILY) == {11: ("trio", 12, 13, True), 14: ("trio", 12, 13, True)}
    links = marts.rows("select distinct relation_code, parent_person_id, is_parent_affected from pedigree_link order by all")
    assert [tuple(link.values()) for link in links] == [("KIN:027", 13, True), ("KIN:028", 12, False)]


@pytest.mark.parametrize(
    ("who", "left"),
    [
        (12, {11: ("duo", None, 13, False), 14: ("duo", None, 13, False)}),
        (11, {14: ("trio", 12, 13, True)}),
    ],
)
def test_who_withdraws_leaves_the_others_in_place(marts: Marts, who: int, left: dict[int, tuple[Any, ...]]) -> None:
    assert _trios(marts, [m for m in FAMILY if m[1] != who]) == left
    assert {r["person_id"] for r in marts.rows("select person_id from pedigree_member")} == {11, 12, 13, 14} - {who}


def test_an_increment_of_one_bucket_unlinks_children_of_other_buckets(marts: Marts) -> None:
    """The father's bucket is built anew without him; the children's are not."""
    _trios(marts, FAMILY)
    marts.db.execute("delete from stg_pedigree__members where person_id = 12")
    marts.build("pedigree_trio", buckets=[5])
    assert {r["person_id"]: r["completeness_code"] for r in marts.rows("select * from pedigree_trio")} == {11: "duo", 14: "duo"}


def test_contradictions_are_no_complete_trio(marts: Marts) -> None:
    """A mother whose line says male; one person as father and mother; a child of their own."""
    members = [
        (1, 11, 2, 3, "male", True, None, 0), (2, 12, None, None, "male", None, None, 0), (3, 13, None, None, "male", None, None, 0),
        (4, 14, 5, 6, "male", True, None, 0), (5, 15, None, None, "male", None, None, 0), (6, 15, None, None, None, None, None, 0),
        (7, 17, 7, None, "male", True, True, 0),
    ]  # fmt: skip
    assert _trios(marts, members) == {11: ("trio", 12, 13, False), 14: ("trio", 15, 15, False), 17: ("singleton", None, None, False)}
