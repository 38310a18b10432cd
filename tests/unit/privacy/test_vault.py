"""Identity: who is joined with whom, and above all who is not. Over-merging two strangers is the fatal error."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from assets.privacy.keys import KeyProblem
from assets.privacy.vault import Identifier, Resolution, Vault, open_vault

RRN_A = Identifier("kr_rrn", "", "8001011000001")
RRN_B = Identifier("kr_rrn", "", "8001012000002")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path / "vault.db", tmp_path / "key")


def _resolve(vault: Vault, site: str, delivery: str, *groups: tuple[Identifier, ...], refs: tuple[str, ...] = ()) -> Resolution:
    return vault.resolve(site=site, delivery=delivery, groups=groups, locals_=refs)


def local(site: str, value: str) -> Identifier:
    return Identifier("local", site, value)


def test_one_local_number_at_two_sites_is_two_people(vault: Vault) -> None:
    a = _resolve(vault, "h1", "d1", refs=("7",)).people["7"]
    b = _resolve(vault, "h2", "d2", refs=("7",)).people["7"]
    assert a.person_id != b.person_id


def test_one_resident_number_at_two_sites_is_one_person(vault: Vault) -> None:
    a = _resolve(vault, "h1", "d1", (local("h1", "7"), RRN_A)).people["7"]
    b = _resolve(vault, "h2", "d2", (local("h2", "9"), RRN_A)).people["9"]
    assert a == b


def test_person_known_by_number_only_is_merged_when_the_resident_number_arrives(vault: Vault) -> None:
    first = _resolve(vault, "h1", "d1", (local("h1", "7"), RRN_A)).people["7"]
    alias = _resolve(vault, "h2", "d2", refs=("9",)).people["9"]
    merged = _resolve(vault, "h2", "d3", (local("h2", "9"), RRN_A))
    assert merged.people["9"] == first
    assert [(link.alias.person_id, link.person.person_id) for link in merged.links] == [(alias.person_id, first.person_id)]
    assert vault.people_of([alias.person_id])[alias.person_id] == first


def test_merges_chain_to_the_last_person(vault: Vault) -> None:
    one = _resolve(vault, "h1", "d1", (local("h1", "1"), RRN_A)).people["1"]
    two = _resolve(vault, "h2", "d2", refs=("2",)).people["2"]
    three = _resolve(vault, "h3", "d3", refs=("3",)).people["3"]
    _resolve(vault, "h9", "d4", (local("h9", "x"), local("h2", "2"), local("h3", "3")))
    _resolve(vault, "h2", "d5", (local("h2", "2"), RRN_A))
    now = vault.people_of([one.person_id, two.person_id, three.person_id])
    assert {ref.person_id for ref in now.values()} == {one.person_id}


def test_two_resident_numbers_never_join(vault: Vault) -> None:
    a = _resolve(vault, "h1", "d1", (local("h1", "7"), RRN_A)).people["7"]
    b = _resolve(vault, "h2", "d2", (local("h2", "9"), RRN_B)).people["9"]
    outcome = _resolve(vault, "h1", "d3", (local("h1", "7"), RRN_B))
    assert outcome.conflicts == 1
    assert outcome.people["7"] == a
    assert _resolve(vault, "h2", "d4", refs=("9",)).people["9"] == b


def test_two_resident_numbers_never_join_where_a_merge_names_none(vault: Vault) -> None:
    """A merge message (HL7 A40) carries two patient numbers only; the resident numbers came earlier."""
    a = _resolve(vault, "h1", "d1", (local("h1", "7"), RRN_A)).people["7"]
    b = _resolve(vault, "h1", "d2", (local("h1", "8"), RRN_B)).people["8"]
    outcome = _resolve(vault, "h1", "d3", (local("h1", "7"), local("h1", "8")))
    assert outcome.conflicts == 1
    assert (outcome.people["7"], outcome.people["8"]) == (a, b)


def test_further_numbers_find_a_person_but_never_join_two(vault: Vault) -> None:
    shared = "http://example.org/insurance|0000"
    first = vault.resolve(site="h1", delivery="d1", groups=[(local("h1", "1"),)], locals_=(), weak=[("1", shared)])
    second = vault.resolve(site="h1", delivery="d2", groups=[(local("h1", "2"),)], locals_=(shared,), weak=[("2", shared)])
    assert first.people["1"] != second.people["2"]
    assert second.people[shared] == first.people["1"]


def test_resolving_a_delivery_again_changes_nothing(vault: Vault) -> None:
    groups = [(local("h1", "7"), RRN_A), (local("h1", "8"),)]
    first = vault.resolve(site="h1", delivery="d1", groups=groups, locals_=("9",))
    again = vault.resolve(site="h1", delivery="d1", groups=groups, locals_=("9",))
    assert first == again
    assert len(first.sightings) == 3
    assert vault.count() == 3


def test_vault_file_holds_no_identifier_in_clear(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "vault.db", tmp_path / "key")
    _resolve(vault, "h1", "d1", (local("h1", "CHART-0451"), RRN_A))
    sqlite3.connect(tmp_path / "vault.db").execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(p.read_bytes() for p in tmp_path.glob("vault.db*"))
    assert b"CHART-0451" not in stored
    assert RRN_A.value.encode() not in stored


def test_wrong_key_is_a_hard_stop(tmp_path: Path) -> None:
    open_vault(tmp_path / "vault.db", tmp_path / "key")
    open_vault(tmp_path / "other.db", tmp_path / "other_key")
    with pytest.raises(KeyProblem, match="does not belong"):
        open_vault(tmp_path / "vault.db", tmp_path / "other_key")


def test_lost_key_is_a_hard_stop(tmp_path: Path) -> None:
    open_vault(tmp_path / "vault.db", tmp_path / "key")
    (tmp_path / "key").unlink()
    with pytest.raises(KeyProblem, match="missing"):
        open_vault(tmp_path / "vault.db", tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_key_readable_by_others_is_a_hard_stop(tmp_path: Path) -> None:
    open_vault(tmp_path / "vault.db", tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(KeyProblem, match="chmod 600"):
        open_vault(tmp_path / "vault.db", tmp_path / "key")
