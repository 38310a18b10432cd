"""Sites whose file says `[identity] link_by_likeness = false`: what they say of people is never compared, and nobody waits because of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assets.privacy.demographics import Demographics
from assets.privacy.likeness import count_left_out, has_changed
from assets.privacy.linkage import link_people
from assets.privacy.review import NoSuchReview, accept, open_reviews, reject
from assets.privacy.vault import Identifier, Vault, open_vault

KIM = Demographics("김민준", "", "19800102", "M", "01034567890", "서울중구", "세종대로12301호")
TWIN = replace(KIM, name="김민중")  # one letter: a slip, or the twin; asked
NO, YES = {"h1": True, "h2": False}, {"h1": True, "h2": True}


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path / "vault.db", tmp_path / "key")


def _describe(vault: Vault, site: str, words: Demographics, *others: Identifier) -> int:
    found = vault.resolve(site=site, delivery=f"{site}/1", groups=[(Identifier("local", site, "1"), *others)], locals_=())
    vault.keep_demographics(site, 1, {found.homes["1"].person_id: words})
    return found.homes["1"].person_id


def _same(vault: Vault, one: int, other: int) -> bool:
    now = vault.people_of([one, other])
    return now[one] == now[other]


def _queue(vault: Vault) -> list[int]:
    with vault.transaction() as (connection, _):
        return [row["id"] for row in open_reviews(connection)]


@pytest.mark.parametrize("words", [KIM, TWIN], ids=["would be merged", "would be asked"])
def test_people_of_a_site_left_out_start_no_process_and_are_counted(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Demographics
) -> None:
    monkeypatch.setattr("assets.privacy.linkage.run_process", lambda *_: pytest.fail("a process was started"))
    one, other = _describe(vault, "h1", KIM), _describe(vault, "h2", words)
    done = link_people(vault, tmp_path, NO)
    assert (done.descriptions, done.left_out, done.sites_left_out, done.merged, done.proposed) == (1, 1, {"h2"}, 0, 0)
    assert not _same(vault, one, other)
    assert _queue(vault) == []
    with vault.transaction() as (connection, _):
        assert count_left_out(connection) == {"h2": 1}
    again = link_people(vault, tmp_path, NO)
    assert (again.descriptions, again.left_out) == (0, 0)


def test_there_is_something_to_do_where_site_files_leave_others_out_than_the_last_linkage(vault: Vault, tmp_path: Path) -> None:
    def changed(said: dict[str, bool]) -> bool:
        with vault.transaction() as (connection, _):
            return has_changed(connection, said)

    assert (changed(YES), changed(NO)) == (False, True), "at first all take part"
    link_people(vault, tmp_path, NO)
    assert (changed(YES), changed(NO), changed({})) == (True, False, False), "a site without a file stays as it was"


def test_the_others_are_compared_all_the_same(vault: Vault, tmp_path: Path) -> None:
    one, out, third = (_describe(vault, site, KIM) for site in ("h1", "h2", "h3"))
    done = link_people(vault, tmp_path, NO)
    assert (done.compared, done.merged) == (1, 1)
    assert _same(vault, one, third)
    assert not _same(vault, one, out)


def test_a_number_joins_people_of_a_site_left_out(vault: Vault, tmp_path: Path) -> None:
    number = Identifier("kr_rrn", "", "8001021000001")
    one, other = _describe(vault, "h1", KIM, number), _describe(vault, "h2", KIM, number)
    link_people(vault, tmp_path, NO)
    assert _same(vault, one, other)


def test_a_site_that_is_allowed_later_is_compared_without_a_new_delivery(vault: Vault, tmp_path: Path) -> None:
    one, other = _describe(vault, "h1", KIM), _describe(vault, "h2", KIM)
    link_people(vault, tmp_path, NO)
    done = link_people(vault, tmp_path, YES)
    assert (done.descriptions, done.left_out, done.merged, done.sites_left_out) == (1, 0, 1, set())
    assert _same(vault, one, other)


def test_a_site_without_a_file_stays_left_out(vault: Vault, tmp_path: Path) -> None:
    one, other = _describe(vault, "h1", KIM), _describe(vault, "h2", KIM)
    link_people(vault, tmp_path, NO)
    assert link_people(vault, tmp_path, {"h1": True}).sites_left_out == {"h2"}
    assert not _same(vault, one, other)


def test_merges_of_a_site_that_is_left_out_later_stay(vault: Vault, tmp_path: Path) -> None:
    one, other = _describe(vault, "h1", KIM), _describe(vault, "h2", KIM)
    link_people(vault, tmp_path, YES)
    assert link_people(vault, tmp_path, NO).merged == 0
    assert _same(vault, one, other)


def test_open_pairs_of_a_site_that_is_left_out_later_leave_the_queue_and_come_back_with_their_number(vault: Vault, tmp_path: Path) -> None:
    _describe(vault, "h1", KIM)
    _describe(vault, "h2", TWIN)
    link_people(vault, tmp_path, YES)
    (pair,) = _queue(vault)
    done = link_people(vault, tmp_path, NO)
    assert (done.withdrawn, done.open_reviews, done.descriptions) == (1, 0, 1)
    with pytest.raises(NoSuchReview, match="is withdrawn already"), vault.transaction() as (connection, _):
        accept(connection, pair)
    assert link_people(vault, tmp_path, YES).proposed == 1
    assert _queue(vault) == [pair]


def test_a_pair_that_other_sites_make_stays_in_the_queue(vault: Vault, tmp_path: Path) -> None:
    """h2 and h3 share a resident number, so one home person is described by both; h3 alone makes the pair with h1."""
    number = Identifier("kr_rrn", "", "8001021000001")
    _describe(vault, "h1", KIM)
    _describe(vault, "h2", TWIN, number)
    _describe(vault, "h3", TWIN, number)
    link_people(vault, tmp_path, {**YES, "h3": True})
    (pair,) = _queue(vault)
    done = link_people(vault, tmp_path, {**NO, "h3": True})
    assert (done.withdrawn, done.proposed) == (1, 1)
    assert _queue(vault) == [pair]


def test_a_stewards_answer_stays_when_the_site_is_left_out_and_allowed_again(vault: Vault, tmp_path: Path) -> None:
    _describe(vault, "h1", KIM)
    _describe(vault, "h2", TWIN)
    link_people(vault, tmp_path, YES)
    with vault.transaction() as (connection, _):
        reject(connection, open_reviews(connection)[0]["id"])
    for may_link in (NO, YES):
        assert link_people(vault, tmp_path, may_link).open_reviews == 0
