"""What the vault keeps of somebody who was erased: look-ups that recognise, nothing that says who it was."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from assets.contracts.table import ERASED
from assets.privacy import erased
from assets.privacy.demographics import Demographics
from assets.privacy.merges import CannotMerge, link_events
from assets.privacy.review import Proposal, merge_by_steward, propose, split_by_steward
from assets.privacy.vault import LOCAL, RESIDENT, Identifier, PersonRef, Vault, open_vault
from assets.privacy.vault_schema import DEMOGRAPHIC, PERSON, REVIEW

NUMBER = "7001011234561"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path / "vault.db", tmp_path / "key")


def _name(vault: Vault, site: str, *numbers: str) -> dict[str, PersonRef]:
    groups = [[Identifier(LOCAL, site, n)] for n in numbers]
    return vault.resolve(site=site, delivery=f"{site}/d", groups=groups, locals_=[]).people


def _erase(vault: Vault, person: int) -> tuple[int, ...]:
    erased.begin(vault, "e1", [person])
    subject = erased.unfinished(vault)["e1"]
    erased.forget(vault, "e1", subject.ids)
    return subject.ids


def test_merged_ids_demographics_and_reviews_go_with_the_person(vault: Vault) -> None:
    people = _name(vault, "h01", "first", "second", "third")
    first, second, third = (people[n].person_id for n in ("first", "second", "third"))
    said = Demographics(name="홍길동", birth_date="19700101", phone="01012345678")
    vault.keep_demographics("h01", 1, {first: said, third: said})
    levels = dict.fromkeys(("name", "birth_date", "sex", "phone", "region", "address"), 1)
    with vault.transaction() as (connection, _):
        merge_by_steward(connection, first, second)
        propose(connection, [Proposal({"left_person_id": second, "right_person_id": third, "weight": 15.0, **levels}, "test")])
    assert erased.telephones(vault, erased.aliases(vault, [first])) == [("h01", "01012345678")]
    assert set(_erase(vault, first)) == {first, second}
    assert erased.identifiers(vault, [first, second]) == []
    with vault.transaction() as (connection, _):
        assert connection.execute(sa.select(DEMOGRAPHIC.c.person_id)).scalars().all() == [third]
        assert connection.execute(sa.select(REVIEW.c.id)).first() is None
        assert link_events(connection, after=0) == [], "a table of links that is made anew does not name the erased"
        with pytest.raises(CannotMerge, match="was erased"):
            merge_by_steward(connection, first, third)
        with pytest.raises(CannotMerge, match="was erased"):
            split_by_steward(connection, second)


def test_a_new_number_of_an_erased_person_is_known_and_not_kept(vault: Vault) -> None:
    joined = [[Identifier(LOCAL, "h01", "first"), Identifier(RESIDENT, "", NUMBER)]]
    who = vault.resolve(site="h01", delivery="h01/d", groups=joined, locals_=[]).people["first"].person_id
    assert vault.local_number(who) == ("h01", "first")
    _erase(vault, who)
    assert vault.local_number(who) is None
    elsewhere = [[Identifier(LOCAL, "h02", "another"), Identifier(RESIDENT, "", NUMBER)]]
    found = vault.resolve(site="h02", delivery="h02/d", groups=elsewhere, locals_=[])
    assert found.people["another"] == found.homes["another"] == PersonRef(who, ERASED)
    assert erased.identifiers(vault, [who]) == []


def test_an_erased_person_draws_nobody_after_it(vault: Vault) -> None:
    people = _name(vault, "h01", "first", "second")
    _erase(vault, people["first"].person_id)
    group = [[Identifier(LOCAL, "h01", "second"), Identifier(LOCAL, "h01", "first")]]
    found = vault.resolve(site="h01", delivery="h01/e", groups=group, locals_=[])
    assert found.people["second"] == people["second"]
    assert found.conflicts == 1


def test_the_file_of_the_vault_holds_no_erased_bytes(vault: Vault, tmp_path: Path) -> None:
    from assets.erasure.artefacts import wipe_free_pages

    who = _name(vault, "h01", "first")["first"].person_id
    with vault.transaction() as (connection, _):
        (sealed,) = connection.execute(sa.text("select sealed from identifier")).scalars()
    _erase(vault, who)
    wipe_free_pages(vault.engine)
    assert sealed not in b"".join(p.read_bytes() for p in tmp_path.glob("vault.db*"))


def test_more_people_go_together_than_a_statement_takes_values(vault: Vault) -> None:
    """SQLite takes 32,766 by default, other databases fewer; here 9."""
    people = [ref.person_id for ref in _name(vault, "h01", *map(str, range(30))).values()]
    sa.event.listen(vault.engine, "connect", lambda connection, _: connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 9))
    vault.engine.dispose()
    with pytest.raises(sa.exc.OperationalError, match="too many SQL variables"), vault.engine.connect() as connection:
        connection.execute(sa.select(PERSON.c.person_id).where(PERSON.c.person_id.in_(range(10))))
    erased.begin(vault, "e1", people[:20])
    assert erased.erased_among(vault, people) == set(people[:20])
    (subject,) = erased.unfinished(vault).values()
    assert set(subject.people) == set(subject.ids) == set(people[:20])
    assert len(erased.identifiers(vault, people)) == erased.count_identifiers(vault, people) == 30
    erased.forget(vault, "e1", subject.ids)
    assert sorted(int(value) for _, _, value in erased.identifiers(vault, people)) == list(range(20, 30))
    assert (erased.unfinished(vault), erased.aliases(vault, people)) == ({}, tuple(sorted(people)))
