"""A feed that no page names is found by nobody; a page that names a feed which is gone sends people to a closed door."""

from __future__ import annotations

import re

from click.testing import CliRunner

from assets.contracts.table import families
from assets.sites.feed_kinds import FEED_KINDS
from orchestration.cli import cli
from tests.conftest import REPOSITORY

_NAME = re.compile(r"`(\w+)`")


def _row(page: str, word: str) -> list[str]:
    """Names in the line of a word of a page's table."""
    (line,) = (line for line in (REPOSITORY / page).read_text(encoding="utf-8").splitlines() if line.startswith(f"| {word} |"))
    return _NAME.findall(line)


def test_every_feed_has_one_row_in_the_table_of_formats() -> None:
    text = (REPOSITORY / "docs" / "FORMATS.md").read_text(encoding="utf-8").split("\n## ")[0]
    named = [name for line in text.splitlines() if line.startswith("| `") for name in _NAME.findall(line.split("|")[1])]
    assert {"without a row": set(FEED_KINDS) - set(named), "unknown": set(named) - set(FEED_KINDS)} == {
        "without a row": set(),
        "unknown": set(),
    }
    assert len(named) == len(set(named))


def test_the_glossary_lists_every_feed_and_every_family() -> None:
    assert sorted(_row("GLOSSARY.md", "feed")) == sorted(FEED_KINDS)
    assert sorted(_row("GLOSSARY.md", "family")) == sorted(families())


def test_the_help_of_deliver_names_every_feed() -> None:
    said = CliRunner().invoke(cli, ["deliver", "--help"]).output
    assert [feed for feed in FEED_KINDS if not re.search(rf"\b{feed}\b", said)] == []
