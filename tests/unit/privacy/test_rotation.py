"""Keys of the vault are changed, and nobody becomes somebody else: people, look-ups and record numbers stay, whatever is killed when."""

from __future__ import annotations

import base64
import hmac
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from assets.privacy.keys import KeyEncryptionKey, KeyProblem, SealingKeys, VaultKey, load_key
from assets.privacy.pseudonyms import RecordSurrogates
from assets.privacy.rotation import key_states, seal_anew, wrap_anew
from assets.privacy.vault import Identifier, Vault, open_vault
from assets.privacy.vault_schema import open_engine
from orchestration.settings import SettingsError, read_settings

NUMBERS = tuple(f"CHART-{n:04}" for n in range(25))
RRN = "8001011000001"
OLD_SECRET = bytes(range(32))


def _file(path: Path, secret: bytes = OLD_SECRET) -> Path:
    path.write_bytes(base64.b64encode(secret))
    path.chmod(0o600)
    return path


def _vault(folder: Path) -> Vault:
    return open_vault(folder / "vault.db", folder / "key")


def _fill(vault: Vault) -> None:
    groups = [(Identifier("local", "h1", n), Identifier("kr_rrn", "", f"{RRN[:-2]}{i:02}")) for i, n in enumerate(NUMBERS)]
    vault.resolve(site="h1", delivery="d1", groups=groups, locals_=())


def _facts(vault: Vault) -> tuple[Any, ...]:
    """All that must stay: who is found by which number, the numbers themselves, look-ups, record numbers."""
    people = [vault.find("h1", number) for number in NUMBERS]
    numbers = [vault.local_number(person.person_id) if person else None for person in people]
    lookups = [vault.key.lookup("local", "h1", number) for number in NUMBERS]
    return people, numbers, lookups, vault.key.record_key("h1", "Encounter")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _fill(_vault(tmp_path))
    return tmp_path


# the layout of releases before keys had versions, written out by hand


def _derived(purpose: str, length: int = 32) -> bytes:
    return HKDF(hashes.SHA256(), length, None, f"biodam/1/{purpose}".encode()).derive(OLD_SECRET)


def _old_vault(folder: Path) -> dict[str, int]:
    """A vault as the release before made it: three people known at h1. Returns person ids by number."""
    db = sqlite3.connect(folder / "vault.db")
    db.executescript("""
        create table person (ordinal integer not null primary key, person_id bigint not null unique, bucket integer not null, merged_into bigint);
        create table identifier (lookup blob not null primary key, system varchar not null, site varchar not null, person_id bigint not null,
            sealed blob not null);
        create table sighting (site varchar not null, person_id bigint not null, delivery varchar not null, primary key (site, person_id));
        create table event (id integer not null primary key, kind varchar not null, alias_person_id bigint not null, person_id bigint not null,
            delivery varchar not null, at varchar not null);
        create table setting (name varchar not null primary key, value blob);
    """)
    people = {"A1": 4_611_686_018_427_387_905, "A2": 77, "A3": 123_456_789_012}
    for ordinal, (number, person) in enumerate(people.items(), 1):
        lookup = hmac.digest(_derived("lookup"), f"local\x1fh1\x1f{number}".encode(), "sha256")
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(_derived("seal")).encrypt(nonce, number.encode(), None)
        db.execute("insert into person values (?, ?, 1, null)", (ordinal, person))
        db.execute("insert into identifier values (?, 'local', 'h1', ?, ?)", (lookup, person, sealed))
        db.execute("insert into sighting values ('h1', ?, 'd1')", (person,))
    db.execute("insert into setting values ('key_check', ?)", (hmac.digest(_derived("check"), b"biodam vault", "sha256"),))
    db.commit()
    db.close()
    _file(folder / "key")
    return people


def test_vault_of_the_older_layout_opens_and_nobody_changes(tmp_path: Path) -> None:
    people = _old_vault(tmp_path)
    before = (tmp_path / "key").read_bytes()
    for _ in range(2):  # the second opening finds wrapped keys
        vault = _vault(tmp_path)
        assert {n: vault.find("h1", n).person_id for n in people} == people  # type: ignore[union-attr]
        assert [vault.local_number(p) for p in people.values()] == [("h1", n) for n in people]
        assert vault.key.record_key("h1", "Encounter") == base64.b64encode(_derived("record/h1/Encounter", 12)).decode()
    assert (tmp_path / "key").read_bytes() == before
    again = vault.resolve(site="h1", delivery="d2", groups=(), locals_=("A2", "B1"))
    assert again.people["A2"].person_id == 77
    assert vault.local_number(again.people["B1"].person_id) == ("h1", "B1")


def test_vault_of_the_older_layout_keeps_everybody_through_both_rotations(tmp_path: Path) -> None:
    people = _old_vault(tmp_path)
    old = load_key(tmp_path / "key", create=False)
    new = load_key(_file(tmp_path / "new", b"n" * 32), create=False)
    engine = open_engine(tmp_path / "vault.db")
    _vault(tmp_path)
    assert wrap_anew(engine, old, new)
    assert seal_anew(engine, new).identifiers == 3
    vault = open_vault(tmp_path / "vault.db", tmp_path / "new")
    assert {n: vault.find("h1", n).person_id for n in people} == people  # type: ignore[union-attr]
    assert [vault.local_number(p) for p in people.values()] == [("h1", n) for n in people]
    assert vault.key.record_key("h1", "Encounter") == base64.b64encode(_derived("record/h1/Encounter", 12)).decode()
    sealed = sqlite3.connect(tmp_path / "vault.db").execute("select sealed from identifier").fetchone()[0]
    with pytest.raises(InvalidTag):  # who kept the old secret reads nothing any more
        AESGCM(_derived("seal")).decrypt(sealed[:12], sealed[12:], None)


def test_wrong_key_leaves_a_vault_of_the_older_layout_as_it_is(tmp_path: Path) -> None:
    _old_vault(tmp_path)
    _file(tmp_path / "key", b"w" * 32)
    with pytest.raises(KeyProblem, match="does not belong"):
        _vault(tmp_path)
    assert sqlite3.connect(tmp_path / "vault.db").execute("select count(*) from data_key").fetchone() == (0,)


# rotation


def test_new_data_key_seals_everything_and_changes_nobody(folder: Path) -> None:
    before, surrogates = _facts(_vault(folder)), RecordSurrogates(_vault(folder).key, "h1")
    engine, kek = open_engine(folder / "vault.db"), load_key(folder / "key", create=False)
    sealed = sqlite3.connect(folder / "vault.db").execute("select sealed from identifier order by lookup").fetchall()
    told: list[int] = []
    done = seal_anew(engine, kek, batch=20, progress=told.append)
    assert (done.version, done.identifiers, done.resumed, told) == (2, 50, False, [20, 40, 50])
    assert _facts(_vault(folder)) == before
    assert repr(RecordSurrogates(_vault(folder).key, "h1")._keys) == repr(surrogates._keys)
    assert [(s.name, s.version, s.identifiers) for s in key_states(engine)] == [("root", 1, 0), ("seal", 2, 50)]
    files = b"".join(p.read_bytes() for p in folder.glob("vault.db*"))
    assert not [old for (old,) in sealed if old in files]  # neither in free pages nor in the journal


def test_new_key_outside_opens_the_vault_and_the_old_one_does_not(folder: Path) -> None:
    before = _facts(_vault(folder))
    engine, old = open_engine(folder / "vault.db"), load_key(folder / "key", create=False)
    new = load_key(folder / "new", create=True)
    assert wrap_anew(engine, old, new)
    assert not wrap_anew(engine, old, new)  # called again after a kill
    assert _facts(open_vault(folder / "vault.db", folder / "new")) == before
    with pytest.raises(KeyProblem, match=f"it is {old.ident}, the vault's keys are wrapped under {new.ident}"):
        _vault(folder)
    with pytest.raises(KeyProblem, match="the new key is the old one"):
        wrap_anew(engine, new, new)


def test_key_may_come_from_the_environment(folder: Path, tmp_path: Path) -> None:
    text = (folder / "key").read_text()
    settings = read_settings({"LAKE_ROOT": str(tmp_path), "BIODAM_VAULT_KEY": text})
    assert text not in repr(settings) + repr(settings.workspace())
    before = _facts(_vault(folder))
    (folder / "key").unlink()
    assert _facts(open_vault(folder / "vault.db", folder / "key", key_text=text)) == before
    assert not (folder / "key").exists()
    with pytest.raises(SettingsError, match="both set") as error:
        read_settings({"BIODAM_VAULT_KEY": text, "BIODAM_VAULT_KEY_FILE": "key"})
    assert text not in str(error.value)


# kills


def _killed_at(statement: int, work: Callable[[sa.Engine], object], database: Path) -> bool:
    """Run `work` in a process that dies before its n-th statement or commit. True where it did."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                os._exit(9)

        try:
            engine = open_engine(database)
            sa.event.listen(engine, "before_cursor_execute", count)
            sa.event.listen(engine, "commit", count)
            work(engine)
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def _keep(folder: Path) -> Path:
    kept = folder / "kept"
    kept.mkdir()
    for path in folder.glob("vault.db*"):
        shutil.copy(path, kept)
    return kept


def _put_back(kept: Path, folder: Path) -> None:
    for path in folder.glob("vault.db*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy(path, folder)


def test_sealing_anew_may_be_killed_at_any_statement(folder: Path) -> None:
    before, kek = _facts(_vault(folder)), load_key(folder / "key", create=False)
    kept, moments = _keep(folder), 0
    while True:
        _put_back(kept, folder)
        if not _killed_at(moments + 1, lambda e: seal_anew(e, kek, batch=20), folder / "vault.db"):
            break
        moments += 1
        assert _facts(_vault(folder)) == before, f"after a kill at statement {moments}"
        _vault(folder).resolve(site="h1", delivery="d2", groups=(), locals_=("between",))  # work goes on before the next call
        seal_anew(open_engine(folder / "vault.db"), kek, batch=20)
        assert _facts(_vault(folder)) == before
        newest = key_states(open_engine(folder / "vault.db"))[-1]
        assert (newest.name, newest.identifiers) == ("seal", 51)
    assert moments > 20


def test_wrapping_anew_may_be_killed_at_any_statement(folder: Path) -> None:
    before, old = _facts(_vault(folder)), load_key(folder / "key", create=False)
    new = load_key(folder / "new", create=True)
    kept = _keep(folder)
    opened = []
    for moment in range(1, 100):
        _put_back(kept, folder)
        killed = _killed_at(moment, lambda e: wrap_anew(e, old, new), folder / "vault.db")
        works = []
        for name in ("key", "new"):
            try:
                works += [name] if _facts(open_vault(folder / "vault.db", folder / name)) == before else []
            except KeyProblem:
                continue
        assert len(works) == 1, f"after a kill at statement {moment}"
        opened += works
        wrap_anew(open_engine(folder / "vault.db"), old, new)
        assert _facts(open_vault(folder / "vault.db", folder / "new")) == before
        if not killed:
            break
    assert opened == sorted(opened)  # the old key until the transaction ends, the new one from then on
    assert set(opened) == {"key", "new"}


def test_writer_with_yesterdays_keys_is_stopped_and_nothing_is_lost(folder: Path) -> None:
    late = _vault(folder)
    seal_anew(open_engine(folder / "vault.db"), load_key(folder / "key", create=False))
    with pytest.raises(KeyProblem, match="run the command again"):
        late.resolve(site="h1", delivery="d2", groups=(), locals_=("new",))
    assert _vault(folder).count() == 25
    with pytest.raises(KeyProblem, match="run the command again"):
        late.local_number(_vault(folder).find("h1", NUMBERS[0]).person_id)  # type: ignore[union-attr]


# hard stops


@pytest.mark.parametrize("content", [b"", b"AAAA", base64.b64encode(b"k" * 31), base64.b64encode(b"k" * 33), b"\xff\xfe no base64"])
def test_cut_key_file_is_a_hard_stop(folder: Path, content: bytes) -> None:
    (folder / "key").write_bytes(content)
    with pytest.raises(KeyProblem, match="restore the key from its backup"):
        _vault(folder)


@pytest.mark.parametrize(
    "damage",
    [
        "update data_key set wrapped = substr(wrapped, 1, 20) where name = 'root'",
        "update data_key set wrapped = zeroblob(60) where name = 'seal'",
        "update data_key set name = 'x' where name = 'root'",
        "delete from data_key where name = 'seal'",
        "delete from data_key where name = 'root'",
        "delete from data_key",
        "delete from data_key; delete from setting where name = 'key_check'",
        "update data_key set version = 7 where name = 'seal'",
        "delete from setting where name = 'key_check'",
    ],
)
def test_damaged_keys_in_the_vault_are_a_hard_stop(folder: Path, damage: str) -> None:
    with sqlite3.connect(folder / "vault.db") as db:
        db.executescript(damage)
    with pytest.raises(KeyProblem):
        _vault(folder)


def test_altered_value_stops_the_sealing_and_names_nobody(folder: Path) -> None:
    with sqlite3.connect(folder / "vault.db") as db:
        db.execute("update identifier set sealed = zeroblob(40) where system = 'kr_rrn'")
    with pytest.raises(KeyProblem, match="was altered") as error:
        seal_anew(open_engine(folder / "vault.db"), load_key(folder / "key", create=False))
    assert RRN[:6] not in str(error.value)


def test_no_key_shows_itself() -> None:
    secret = b"\x01secret-secret-secret-secret-32\x02"
    shown = [repr(VaultKey(secret)), repr(KeyEncryptionKey(secret)), repr(SealingKeys.of({1: secret})), str(KeyEncryptionKey(secret))]
    shown.append(KeyEncryptionKey(secret).ident)
    for text in shown:
        assert "secret-" not in text
        assert secret.hex()[:8] not in text
        assert base64.b64encode(secret).decode()[:8] not in text


def test_database_errors_quote_no_identifier(folder: Path) -> None:
    engine = open_engine(folder / "vault.db")
    with pytest.raises(sa.exc.DBAPIError) as error, engine.begin() as connection:
        connection.execute(sa.text("insert into setting values (:n, :v), (:n, :v)"), {"n": RRN, "v": b"x"})
    assert RRN not in str(error.value)
