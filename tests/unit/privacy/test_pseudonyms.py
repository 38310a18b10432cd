"""Record surrogates: stable, keyed, apart for each site and scope."""

from __future__ import annotations

import pyarrow as pa
import pytest

from assets.privacy.keys import VaultKey
from assets.privacy.pseudonyms import RecordSurrogates
from assets.privacy.scrub import RuleError, parse_rule

KEY = VaultKey(b"k" * 32)


def _one(key: VaultKey, site: str, scope: str, value: str) -> int:
    return RecordSurrogates(key, site).column(pa.array([value]), scope)[0].as_py()


def test_same_number_gives_the_same_surrogate_and_null_stays_null() -> None:
    made = RecordSurrogates(KEY, "h1").column(pa.array(["a", None, "b", "a"]), "Encounter").to_pylist()
    assert made[0] == made[3] != made[2]
    assert made[1] is None
    assert all(0 <= v < 2**63 for v in made if v is not None)


def test_null_among_numbers_that_stand_once_each_stays_null() -> None:
    """Incident: such columns are hashed without a dictionary, and a null came out as the surrogate of the text "None"."""
    made = RecordSurrogates(KEY, "h1").column(pa.array([*(str(n) for n in range(100)), None]), "Encounter").to_pylist()
    assert made[-1] is None
    assert None not in made[:-1]


def test_null_inside_a_list_stays_null() -> None:
    made = RecordSurrogates(KEY, "h1").lists(pa.array([["a", None]], pa.list_(pa.string())), "Practitioner").to_pylist()
    assert made[0][1] is None


def test_surrogates_differ_by_site_scope_and_key() -> None:
    made = {
        _one(KEY, "h1", "Encounter", "a"),
        _one(KEY, "h2", "Encounter", "a"),
        _one(KEY, "h1", "Condition", "a"),
        _one(VaultKey(b"x" * 32), "h1", "Encounter", "a"),
    }
    assert len(made) == 4


def test_known_value_does_not_move() -> None:
    """A change of the hash or of key derivation would orphan every stored record: this number must never change."""
    assert _one(KEY, "h1", "Encounter", "a") == 795772482534051755


def test_lists_keep_their_shape() -> None:
    values = pa.array([["a", "b"], None, [], ["a"]], pa.list_(pa.string()))
    made = RecordSurrogates(KEY, "h1").lists(values, "Practitioner").to_pylist()
    assert [len(v) for v in made] == [2, 0, 0, 1]
    assert made[0][0] == made[3][0]


def test_key_is_not_shown() -> None:
    assert "k" * 8 not in repr(KEY)


@pytest.mark.parametrize("line", ["pass name", "record Patient", "keep", "keep_if VALUE"])
def test_rule_that_says_nothing_clear_is_refused(line: str) -> None:
    with pytest.raises(RuleError):
        parse_rule("x.toml [patient] a", "a", line)
