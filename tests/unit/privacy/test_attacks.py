"""Somebody who knows every resident number and holds the lake without its key learns nobody's person_id from a hash, a key one could guess, or an order."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace
from tests.conftest import write_delivery

PEOPLE = 1000
SITE = """site = "h70"
name = "Attacked hospital"
kind = "hospital"
legal_basis = "published"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
"""


@dataclass(frozen=True)
class Stolen:
    """What the attacker holds, and the truth by which an attack is judged.

    Attributes:
        numbers: All resident numbers, in the order of the delivered file.
        birth_and_sex: The same people's birth date and sex, as the table tells them.
        people: person_id of each, in the same order: the truth.
        tokens: Every value that stands anywhere in the tables and databases of the lake, as text.
    """

    numbers: tuple[str, ...]
    birth_and_sex: tuple[tuple[int, int, int, str], ...]
    people: tuple[int, ...]
    tokens: frozenset[str]


def _numbers() -> list[str]:
    draw = random.Random(4)
    found: set[str] = set()
    while len(found) < PEOPLE:
        year = draw.randrange(1930, 2020)
        century = draw.choice((1, 2)) + (2 if year >= 2000 else 0)
        found.add(f"{year % 100:02}{draw.randrange(1, 13):02}{draw.randrange(1, 29):02}-{century}{draw.randrange(10**6):06}")
    return sorted(found, key=lambda n: hashlib.sha256(n.encode()).digest())


def _tokens(lake: Path) -> frozenset[str]:
    """Every value outside of vault, inbox and landing store."""
    import sqlite3

    found: set[str] = set()
    for path in (lake / "tables").rglob("*.parquet"):
        for column in pq.read_table(path, partitioning=None).columns:
            found.update(map(str, column.unique().to_pylist()))
    with sqlite3.connect(lake / "control" / "control.db") as connection:
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            found.update(str(cell) for row in connection.execute(f'select * from "{table}"') for cell in row)
    found.update(p.name for p in (lake / "tables").rglob("*"))
    return frozenset(found)


@pytest.fixture(scope="module")
def stolen(tmp_path_factory: pytest.TempPathFactory) -> Stolen:
    """A hospital of a thousand people, landed; the key stays behind."""
    folder = tmp_path_factory.mktemp("stolen")
    (folder / "sites").mkdir()
    (folder / "sites" / "h70.toml").write_text(SITE, encoding="utf-8")
    workspace = Workspace(folder / "lake", sites_folder=folder / "sites")
    numbers = _numbers()
    rows = []
    for at, number in enumerate(numbers):
        century = 1900 if number[7] in "12" else 2000
        born = f"{century + int(number[:2])}-{number[2:4]}-{number[4:6]}"
        rows.append((f"P{at:05}", number, born, "M" if int(number[7]) % 2 else "F"))
    text = "patient_number,resident_number,birth_date,gender\n" + "".join(",".join(row) + "\n" for row in rows)
    land(workspace, admit(workspace, write_delivery(workspace.root, "h70", "emr_csv", "d1", {"patient.csv": text})))
    (file,) = (workspace.lake.tables / "raw" / "emr_csv" / "patient").rglob("*.parquet")
    table = pq.read_table(file, partitioning=None).sort_by("_row_number").to_pydict()
    facts = zip(table["birth_year"], table["birth_month"], table["birth_day"], table["gender_code"], strict=True)
    return Stolen(tuple(numbers), tuple(facts), tuple(table["person_id"]), _tokens(workspace.root))


GUESSES = (
    b"", b"biodam", b"Biodam", b"secret", b"key", b"salt", b"0123456789123456", b"h70", b"emr_csv", b"patient", b"d1", b"Patient", b"person_id", b"resident",
    b"kr_rrn", b"Attacked hospital", b"biodam/1/lookup", b"lookup",
)  # fmt: skip


def _ways_to_write(number: str, site: str = "h70") -> tuple[bytes, ...]:
    plain = number.replace("-", "")
    texts = (
        plain,
        number,
        f"kr_rrn|{plain}",
        f"{site}|{plain}",
        f"{site}:{number}",
        f"kr_rrn\x1f\x1f{plain}",
        f"kr_rrn\x1f{site}\x1f{plain}",
    )
    return (*(t.encode() for t in texts), int(plain).to_bytes(8, "little"), int(plain).to_bytes(8, "big"))


def _digests(text: bytes, keys: Iterable[bytes]) -> Iterator[bytes]:
    for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"):
        yield hashlib.new(name, text).digest()
    yield zlib.crc32(text).to_bytes(4, "big")
    for key in keys:
        yield hmac.digest(key, text, "sha256")
        yield hashlib.sha256(key + text).digest()


def _as_token(digest: bytes) -> Iterator[str]:
    text = digest.hex()
    yield from (text, text.upper(), text[:32], text[:16], text[:12], text[:8], base64.b64encode(digest).decode())
    for number in (int.from_bytes(digest[:8], "big"), int.from_bytes(digest[:8], "little")):
        yield from (str(number & (2**63 - 1)), str(number - 2**64 if number >= 2**63 else number))


def recovered(numbers: Iterable[str], tokens: frozenset[str], keys: Iterable[bytes] = GUESSES) -> set[str]:
    """Resident numbers of which a hash stands in the lake."""
    keys = list(keys)
    return {n for n in numbers if any(t in tokens for text in _ways_to_write(n) for d in _digests(text, keys) for t in _as_token(d))}


def test_no_resident_number_stands_in_the_lake_in_any_hash_or_under_a_key_one_could_guess(stolen: Stolen) -> None:
    assert len(stolen.tokens) > PEOPLE
    found = {token.encode() for token in stolen.tokens if 3 < len(token) < 33 and not token.lstrip("-").isdigit()}
    words = sorted(found, key=lambda w: hashlib.sha256(w).digest())[:20]
    assert recovered(stolen.numbers, stolen.tokens) == set()
    assert recovered(stolen.numbers[:100], stolen.tokens, words) == set(), "keys found in the lake itself"


def test_the_attack_succeeds_against_a_lake_that_hashes() -> None:
    """Else the test above could not fail."""
    numbers = _numbers()[:20]
    for weak in (
        {hashlib.sha256(n.replace("-", "").encode()).hexdigest() for n in numbers},
        {str(int.from_bytes(hmac.digest(b"biodam", n.encode(), "sha256")[:8], "big") & (2**63 - 1)) for n in numbers},
        {hashlib.md5(f"h70|{n.replace('-', '')}".encode()).hexdigest()[:12] for n in numbers},
    ):
        assert recovered(numbers, frozenset(weak)) == set(numbers)


def test_record_surrogates_are_not_those_of_a_key_one_could_guess(stolen: Stolen) -> None:
    """They are SipHash, as pandas has it; its default key is public. The attacker knows the hospital's numbers of its patients too."""
    local = np.array([f"P{at:05}" for at in range(PEOPLE)], object)
    for key in (b"0123456789123456", *(g.ljust(16, b"0")[:16] for g in GUESSES)):
        hashed = pd.util.hash_array(local, hash_key=key.decode(), categorize=False) & np.uint64(2**63 - 1)
        assert not stolen.tokens.intersection(map(str, hashed.tolist()))


def test_ids_of_people_say_nothing_of_the_order_in_files_or_of_their_numbers(stolen: Stolen) -> None:
    """Chance gives a rank correlation within 0.16 in all but one of a million lakes."""
    ids = pd.Series(stolen.people)
    for order in (range(PEOPLE), [n.replace("-", "") for n in stolen.numbers]):
        assert abs(ids.rank().corr(pd.Series(list(order)).rank())) < 0.25
    assert len(set(stolen.people)) == PEOPLE
    assert min(np.diff(np.sort(np.array(stolen.people, np.int64)))) > PEOPLE, "no two follow each other"
    assert sum(a > b for a, b in zip(stolen.people, stolen.people[1:], strict=False)) in range(400, 600)


def test_what_birth_date_and_sex_give_away_is_known(stolen: Stolen) -> None:
    """No hash is needed for this: a resident number says birth date and sex, and the lake keeps them, as research needs them. It is why the lake is closed, and why
    releases need disclosure control. Of 1,000 people nearly all are alone with theirs; of a country of 51 million about 800 share each."""
    alone = pd.Series(stolen.birth_and_sex).value_counts().eq(1).sum()
    assert alone > 0.9 * PEOPLE
