"""Who is found to be one person without a common number, who is asked about, and who never is. Over-merging two strangers is the fatal error."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from assets.privacy.demographics import Demographics, normalise
from assets.privacy.hangul import jamo, sound
from assets.privacy.linkage import LinkageFailed, Linked, link_people, run_process
from assets.privacy.linkage_process import INPUT
from assets.privacy.review import accept, open_reviews, reject
from assets.privacy.rotation import seal_anew
from assets.privacy.vault import Identifier, Vault, open_vault

KIM = Demographics("김민준", "", "19800102", "M", "01034567890", "서울중구", "세종대로12301호")
CASES = {
    "the same everywhere": (KIM, "merged"),
    "moved to another province": (replace(KIM, region="부산동구", address="해변로74호"), "merged"),
    "another telephone": (replace(KIM, phone="01099887766"), "merged"),
    "sex typed wrongly": (replace(KIM, sex="F"), "merged"),
    "romanised": (replace(KIM, name="", roman="kim minjun"), "merged"),
    "birthday off by a digit": (replace(KIM, birth_date="19800103"), "merged"),
    "one letter of the name: a slip, or the twin": (replace(KIM, name="김민중"), "asked"),
    "neither telephone nor address known": (replace(KIM, phone="", region="", address=""), "asked"),
    "moved with a new telephone, within the region": (replace(KIM, phone="01099887766", address="중앙로1호"), "asked"),
    "same name and birthday, nothing else": (replace(KIM, phone="01099887766", region="부산동구", address="해변로74호"), "nothing"),
    "twin sister": (replace(KIM, name="김서연", sex="F"), "nothing"),
    "twin brother": (replace(KIM, name="김도윤"), "nothing"),
    "father of the same home": (replace(KIM, name="김상훈", birth_date="19501111"), "nothing"),
    "daughter with the parent's telephone": (replace(KIM, name="김수아", birth_date="20100101", sex="F"), "nothing"),
}
RRN_A, RRN_B = Identifier("kr_rrn", "", "8001021000001"), Identifier("kr_rrn", "", "8001021000019")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path / "vault.db", tmp_path / "key")


def _describe(vault: Vault, site: str, number: str, words: Demographics, *others: Identifier, sequence: int = 1) -> int:
    found = vault.resolve(site=site, delivery=f"{site}/{sequence}", groups=[(Identifier("local", site, number), *others)], locals_=())
    vault.keep_demographics(site, sequence, {found.homes[number].person_id: words})
    return found.homes[number].person_id


def _same(vault: Vault, one: int, other: int) -> bool:
    now = vault.people_of([one, other])
    return now[one] == now[other]


def test_pairs_of_every_kind_in_one_linkage(vault: Vault, tmp_path: Path) -> None:
    """Each case lives in a year of its own, so that the cases do not meet."""
    pairs = {}
    for n, (case, (other, _)) in enumerate(CASES.items()):
        shift = {
            "birth_date": lambda d, n=n: f"{int(d[:4]) - n}{d[4:]}" if d[:4] == "1980" else d,
            "phone": lambda p, n=n: p and p[:-2] + f"{n:02}",
        }
        own = [replace(d, **{f: change(getattr(d, f)) for f, change in shift.items()}) for d in (KIM, other)]
        pairs[case] = [_describe(vault, site, f"{n}", words) for site, words in zip(("h1", "h2"), own, strict=True)]
    done = link_people(vault, tmp_path)
    with vault.transaction() as (connection, _):
        asked = {frozenset((r["left_person_id"], r["right_person_id"])) for r in open_reviews(connection)}
    outcome = {
        case: "merged" if _same(vault, *pair) else "asked" if frozenset(pair) in asked else "nothing" for case, pair in pairs.items()
    }
    assert outcome == {case: expected for case, (_, expected) in CASES.items()}
    assert (done.descriptions, done.open_reviews) == (2 * len(CASES), sum(expected == "asked" for _, expected in CASES.values()))
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == []


def test_numbers_go_before_likeness_and_an_answer_holds(vault: Vault, tmp_path: Path) -> None:
    one = _describe(vault, "h1", "1", KIM, RRN_A)
    other = _describe(vault, "h2", "1", KIM, RRN_B)
    again = _describe(vault, "h1", "2", replace(KIM, name="", roman="kim minjun"))
    third = _describe(vault, "h3", "1", KIM)
    done = link_people(vault, tmp_path)
    assert not _same(vault, one, other)
    assert not _same(vault, one, again)
    assert _same(vault, third, one) or _same(vault, third, other)
    with vault.transaction() as (connection, _):
        queue = {frozenset((r["left_person_id"], r["right_person_id"])): r["id"] for r in open_reviews(connection)}
        for number in queue.values():
            reject(connection, number)
    assert done.merged >= 1
    _describe(vault, "h1", "2", replace(KIM, name="", roman="minjun kim", address="세종대로12302호"), sequence=2)
    later = link_people(vault, tmp_path)
    assert (later.descriptions, later.open_reviews, later.merged) == (1, 0, 0)


def test_an_increment_opens_only_who_may_be_meant(vault: Vault, tmp_path: Path) -> None:
    for n in range(20):
        _describe(vault, "h1", f"{n}", replace(KIM, birth_date=f"19{n + 50}0102", phone=f"010345600{n:02}"))
    assert link_people(vault, tmp_path).descriptions == 20
    assert link_people(vault, tmp_path) == Linked()
    _describe(vault, "h2", "x", replace(KIM, birth_date="19600102", phone="01034560010"))
    done = link_people(vault, tmp_path)
    assert (done.descriptions, done.compared, done.merged) == (1, 1, 1)


def test_who_resembles_nobody_but_people_with_another_resident_number_starts_no_process(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.privacy.linkage.run_process", lambda *_: pytest.fail("a process was started"))
    _describe(vault, "h1", "1", KIM, RRN_A)
    _describe(vault, "h2", "1", KIM, RRN_B)
    _describe(vault, "h2", "2", replace(KIM, name="이서준", birth_date="19700505", phone="01011112222"))
    assert link_people(vault, tmp_path) == Linked(descriptions=3)
    assert link_people(vault, tmp_path) == Linked()


def test_accepted_pair_is_one_person(vault: Vault, tmp_path: Path) -> None:
    one, other = _describe(vault, "h1", "1", KIM), _describe(vault, "h2", "1", replace(KIM, name="김민중"))
    link_people(vault, tmp_path)
    with vault.transaction() as (connection, _):
        accept(connection, open_reviews(connection)[0]["id"])
    assert _same(vault, one, other)


def test_older_delivery_does_not_replace_a_newer(vault: Vault) -> None:
    person = _describe(vault, "h1", "1", KIM, sequence=5)
    assert vault.keep_demographics("h1", 4, {person: replace(KIM, phone="01099887766")}) == 0
    assert vault.keep_demographics("h1", 6, {person: KIM}) == 0
    assert vault.keep_demographics("h1", 6, {person: replace(KIM, phone="01099887766")}) == 1


def test_descriptions_are_sealed_and_survive_a_rotation(vault: Vault, tmp_path: Path) -> None:
    from assets.privacy.demographic_store import demographics_of
    from assets.privacy.keys import load_key
    from assets.privacy.vault_schema import open_engine

    person = _describe(vault, "h1", "1", KIM)
    seal_anew(open_engine(tmp_path / "vault.db"), load_key(tmp_path / "key", create=False))
    with open_vault(tmp_path / "vault.db", tmp_path / "key").transaction() as (connection, keys):
        assert [d.demographics for d in demographics_of(connection, keys, [person])] == [KIM]
    sqlite3.connect(tmp_path / "vault.db").execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(p.read_bytes() for p in tmp_path.glob("vault.db*"))
    assert not [value for value in ("김민준", "01034567890", "19800102", "세종대로") if value.encode() in stored]


def test_failure_of_the_process_names_its_kind_and_no_value(tmp_path: Path) -> None:
    wrong = pa.record_batch({"name": ["김민준"]})
    with pytest.raises((LinkageFailed, pa.ArrowInvalid)) as error:
        run_process([wrong], tmp_path)
    assert "김민준" not in str(error.value)
    assert INPUT.names[0] == "row"


@pytest.mark.parametrize(
    ("raw", "field", "expected"),
    [
        ({"name": "남궁 민준"}, "name", "남궁민준"),
        ({"family": "김", "given": "민준"}, "name", "김민준"),
        ({"family": "KIM", "given": "Min-Jun"}, "roman", "kim minjun"),
        ({"name": "무명남"}, "name", ""),
        ({"phone": "+82-10-3456-7890"}, "phone", "01034567890"),
        ({"phone": "tel:010 3456 7890"}, "phone", "01034567890"),
        ({"phone": "010-0000-0000"}, "phone", ""),
        ({"birth_date": "1980-01-02"}, "birth_date", "19800102"),
        ({"birth_date": "19800102103000"}, "birth_date", "19800102"),
        ({"birth_date": "1980"}, "birth_date", ""),
        ({"sex": "여"}, "sex", "F"),
        ({"province": "서울특별시", "city": "중구"}, "region", "서울중구"),
        ({"province": "서울특별시", "city": "중구", "line": "서울특별시 중구 세종대로 12, 301호"}, "address", "세종대로12301호"),
    ],
)
def test_sources_write_one_thing_in_many_ways(raw: dict[str, str], field: str, expected: str) -> None:
    assert getattr(normalise(raw), field) == expected


@pytest.mark.parametrize(
    ("hangul", "roman"), [("김민준", "kim minjun"), ("이지우", "lee jiwoo"), ("박영숙", "park youngsook"), ("최은주", "choi eun ju")]
)
def test_a_name_sounds_the_same_in_both_scripts(hangul: str, roman: str) -> None:
    assert sound(hangul) == sound(roman)


def test_one_wrong_letter_of_a_syllable_is_one_sign() -> None:
    assert sum(a != b for a, b in zip(jamo("김민준"), jamo("김민중"), strict=True)) == 1
