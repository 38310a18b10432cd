"""What a text says: white space around it, texts that mean nothing."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from assets.formats.text import holds_any, may_be_trimmed, null_texts, said


@pytest.mark.parametrize("code", range(1, 128))
def test_every_white_space_below_128_is_known(code: int) -> None:
    """Otherwise a column with it would not be trimmed."""
    text = pa.array([chr(code) + "a"])
    assert may_be_trimmed(text) == (pc.utf8_trim_whitespace(text)[0].as_py() == "a")


def test_korean_text_and_white_space_of_unicode_are_trimmed() -> None:
    assert said(pa.array(["\u3000환자\u00a0", " b ", "c"]), null_texts(None)).to_pylist() == ["환자", "b", "c"]


def test_text_that_means_nothing_is_null_with_and_without_white_space() -> None:
    nulls = null_texts(["NA"])
    assert said(pa.array(["NA", "", "NAN"]), nulls).to_pylist() == [None, None, "NAN"]
    assert said(pa.array([" NA ", " ", "NAN", None]), nulls).to_pylist() == [None, None, "NAN", None]


def test_mark_is_found_in_any_row() -> None:
    assert holds_any(pa.array(["16", None, "0X10"]), b"xX")
    assert not holds_any(pa.array(["16", None]), b"xX")
    assert not holds_any(pa.nulls(3, pa.string()), b"xX")
