"""A name or address singles somebody out if nobody else in the vault is described with the same one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from assets.privacy.demographics import Demographics, normalise
from assets.privacy.rarity import rare_values
from assets.privacy.vault import LOCAL, Identifier, Vault, open_vault
from assets.privacy.vault_schema import DEMOGRAPHIC, RARITY

HONG = normalise({"name": "홍 길동", "other_name": "HONG, Gil-Dong", "birth_date": "1970-01-01", "line": "세종대로 110, 101호"})


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path / "vault.db", tmp_path / "key")


def _told(vault: Vault, number: str, said: Demographics, *, sequence: int = 1) -> int:
    found = vault.resolve(site="h1", delivery=f"h1/{number}/{sequence}", groups=[[Identifier(LOCAL, "h1", number)]], locals_=[])
    person = found.homes[number].person_id
    vault.keep_demographics("h1", sequence, {person: said})
    return person


def _forms(vault: Vault, *people: int) -> tuple[set[str], int]:
    found = rare_values(vault, people)
    return {one.form for one in found.written}, found.shared


def test_what_nobody_else_has_is_rare_in_every_way_it_was_written(vault: Vault) -> None:
    found = rare_values(vault, [_told(vault, "1", HONG)])
    assert found.shared == 0
    assert {(one.field, one.text) for one in found.written} == {
        ("name", "홍 길동"), ("name", "홍길동"), ("roman", "HONG, Gil-Dong"), ("roman", "gildong hong"),
        ("address", "세종대로 110, 101호"), ("address", "세종대로110101호"),
    }  # fmt: skip


def test_a_namesake_and_a_household_make_a_value_common_however_they_write_it(vault: Vault) -> None:
    one = _told(vault, "1", HONG)
    other = _told(vault, "2", normalise({"name": "홍길동", "birth_date": "1999-09-09", "line": "세종대로110 101호"}))
    assert _forms(vault, one) == ({"gildong hong"}, 2)
    assert _forms(vault, one, other) == ({"홍길동", "gildong hong", "세종대로110101호"}, 0), (
        "asked about together they share it with nobody"
    )


def test_an_earlier_name_is_remembered_and_compared_with_what_others_are_called_now(vault: Vault) -> None:
    one = _told(vault, "1", HONG)
    _told(vault, "1", normalise({"name": "홍길순", "birth_date": "1970-01-01", "line": "종로 1-22, 3층"}), sequence=2)
    assert _forms(vault, one)[0] == {"홍길순", "홍길동", "gildong hong", "종로1223층", "세종대로110101호"}
    _told(vault, "2", normalise({"name": "이몽룡", "birth_date": "1980-01-01", "line": "세종대로 110 101호"}))
    assert _forms(vault, one) == ({"홍길순", "홍길동", "gildong hong", "종로1223층"}, 1), "somebody else lives there now"


def test_another_spelling_is_kept_and_not_compared_anew(vault: Vault) -> None:
    one = _told(vault, "1", HONG)
    with vault.transaction() as (connection, _):
        connection.execute(DEMOGRAPHIC.update().values(is_compared=True))
    _told(
        vault,
        "1",
        normalise({"name": "홍길동", "other_name": "Hong GilDong", "birth_date": "1970-01-01", "line": "세종대로 110 101호"}),
        sequence=2,
    )
    with vault.transaction() as (connection, _):
        assert connection.execute(sa.select(DEMOGRAPHIC.c.is_compared)).scalars().all() == [True]
    texts = {one.text for one in rare_values(vault, [one]).written}
    assert {"HONG, Gil-Dong", "Hong GilDong"} <= texts
    _told(vault, "1", replace(HONG, phone="01012345678"), sequence=3)
    with vault.transaction() as (connection, _):
        assert connection.execute(sa.select(DEMOGRAPHIC.c.is_compared)).scalars().all() == [False]


def test_a_vault_of_an_earlier_release_is_completed_when_it_is_first_asked(vault: Vault, tmp_path: Path) -> None:
    """Else a namesake whom an earlier release has landed would not be counted, and the name would be taken for rare."""
    one, other = _told(vault, "1", replace(HONG, written=())), _told(vault, "2", replace(HONG, written=(), birth_date="19990909"))
    with vault.transaction() as (connection, keys):
        for row in connection.execute(sa.select(DEMOGRAPHIC.c.person_id, DEMOGRAPHIC.c.sealed, DEMOGRAPHIC.c.seal_version)).all():
            text = keys.seals.open(row.seal_version, row.sealed)
            connection.execute(
                DEMOGRAPHIC.update()
                .where(DEMOGRAPHIC.c.person_id == row.person_id)
                .values(sealed=keys.seals.seal(text.replace(",[]]", "]")))
            )
        connection.execute(sa.text("drop index ix_demographic_rarity"))
        for name in RARITY:
            connection.execute(sa.text(f"alter table demographic drop column {name}"))
    vault.engine.dispose()
    opened = open_vault(tmp_path / "vault.db", tmp_path / "key")
    assert _forms(opened, one) == (set(), 3)
    assert _forms(opened, one, other)[1] == 0
