"""Merges that can be taken back: after merge and split the vault stands as if nobody had ever been merged, later deliveries included."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from assets.privacy.buckets import BucketSizes
from assets.privacy.merges import CannotMerge, NotMerged, link_events
from assets.privacy.review import merge_by_steward, split_by_steward, undo_event
from assets.privacy.vault import Identifier, Vault, open_vault

RRN_A, RRN_B = Identifier("kr_rrn", "", "8001011000001"), Identifier("kr_rrn", "", "8001012000002")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path / "vault.db", tmp_path / "key")


def _land(vault: Vault, site: str, delivery: str, number: str, *others: Identifier) -> tuple[int, int]:
    """(person, home person) of a number."""
    found = vault.resolve(site=site, delivery=delivery, groups=[(Identifier("local", site, number), *others)], locals_=())
    return found.people[number].person_id, found.homes[number].person_id


def _merge(vault: Vault, one: int, other: int) -> None:
    with vault.transaction() as (connection, _):
        merge_by_steward(connection, one, other)


def _split(vault: Vault, alias: int) -> None:
    with vault.transaction() as (connection, _):
        split_by_steward(connection, alias)


def test_rows_land_under_the_home_person_before_between_and_after(vault: Vault) -> None:
    one, _ = _land(vault, "h1", "d1", "1")
    two, _ = _land(vault, "h2", "d2", "2")
    _merge(vault, one, two)
    assert _land(vault, "h2", "d3", "2") == (one, two)
    _split(vault, two)
    assert _land(vault, "h2", "d4", "2") == (two, two)
    assert _land(vault, "h1", "d5", "1") == (one, one)


def test_number_that_comes_while_merged_stays_with_the_identifier_it_came_with(vault: Vault) -> None:
    one, _ = _land(vault, "h1", "d1", "1")
    two, _ = _land(vault, "h2", "d2", "2")
    _merge(vault, one, two)
    assert _land(vault, "h3", "d3", "3", Identifier("local", "h2", "2")) == (one, two)
    _split(vault, two)
    assert _land(vault, "h3", "d4", "3") == (two, two)


def test_split_of_a_chain_takes_along_who_was_merged_into_the_alias(vault: Vault) -> None:
    one, two, three = (_land(vault, f"h{n}", f"d{n}", f"{n}")[0] for n in (1, 2, 3))
    _merge(vault, two, three)
    _merge(vault, one, two)
    _split(vault, two)
    now = {p: ref.person_id for p, ref in vault.people_of([one, two, three]).items()}
    assert now == {one: one, two: two, three: two}
    assert _land(vault, "h3", "d9", "3") == (two, three)


def test_merge_that_a_delivery_made_is_not_made_again_once_a_steward_parted_the_two(vault: Vault) -> None:
    one, _ = _land(vault, "h1", "d1", "1", RRN_A)
    two, _ = _land(vault, "h1", "d2", "2")
    assert _land(vault, "h1", "d3", "1", Identifier("local", "h1", "2")) == (one, one)
    _split(vault, two)
    again = vault.resolve(site="h1", delivery="d4", groups=[(Identifier("local", "h1", "1"), Identifier("local", "h1", "2"))], locals_=())
    assert again.conflicts == 1
    assert {again.people["1"].person_id, again.people["2"].person_id} == {one, two}


def test_undo_takes_back_a_merge_and_then_the_split(vault: Vault) -> None:
    one, _ = _land(vault, "h1", "d1", "1")
    two, _ = _land(vault, "h2", "d2", "2")
    _merge(vault, one, two)
    for expected in (two, one):
        with vault.transaction() as (connection, _):
            undo_event(connection, link_events(connection, after=0)[-1].number)
        assert vault.people_of([two])[two].person_id == expected


def test_two_resident_numbers_are_two_people_for_a_steward_too(vault: Vault) -> None:
    one, _ = _land(vault, "h1", "d1", "1", RRN_A)
    two, _ = _land(vault, "h2", "d2", "2", RRN_B)
    with pytest.raises(CannotMerge, match="two different resident numbers"):
        _merge(vault, one, two)


def test_who_was_not_merged_cannot_be_split(vault: Vault) -> None:
    one, _ = _land(vault, "h1", "d1", "1")
    with pytest.raises(NotMerged):
        _split(vault, one)


def test_each_event_touches_the_buckets_of_all_for_whom_the_alias_stood(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "v.db", tmp_path / "k", sizes=BucketSizes(steps=(), beyond=1))
    one, _ = _land(vault, "h1", "d1", "1")
    two, _ = _land(vault, "h2", "d2", "2")
    _merge(vault, one, two)
    _split(vault, two)
    with vault.transaction() as (connection, _):
        events = link_events(connection, after=0)
    assert [(e.alias, e.person, sorted(e.touched)) for e in events] == [(two, one, [0, 1]), (two, two, [0, 1])]


def test_vault_of_an_earlier_release_opens_and_its_merges_stay(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "v.db", tmp_path / "k")
    one, _ = _land(vault, "h1", "d1", "1")
    with sqlite3.connect(tmp_path / "v.db") as old:
        for statement in (
            "alter table identifier drop column home_person_id", "drop table demographic", "drop table review", "drop index ix_person_merged_into",
        ):  # fmt: skip
            old.execute(statement)
    again = open_vault(tmp_path / "v.db", tmp_path / "k")
    assert _land(again, "h1", "d1", "1") == (one, one)
