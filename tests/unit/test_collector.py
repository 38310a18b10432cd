"""A process that loads much and then ends does not look for cycles at its end: what has to be closed is closed by those who opened it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

SCRIPT = """
from assets.collector import collect_seldom

class Opened:
    def __init__(self):
        self.itself = self  # a cycle: only the collector finds it
    def __del__(self):
        print("found")

{before}
Opened()
print("work")
{work}
Opened()
print("end")
"""


@pytest.mark.parametrize(
    ("before", "work", "said"),
    [
        ("", "", ["work", "end", "found", "found"]),
        ("collect_seldom()", "", ["work", "end"]),
        ("collect_seldom()", "many = [[] for _ in range(60_000)]", ["work", "found", "end"]),
    ],
    ids=["as Python does it", "seldom", "seldom is not never"],
)
def test_cycles_are_found_while_a_process_works_and_left_alone_where_it_ends(before: str, work: str, said: list[str]) -> None:
    script = SCRIPT.format(before=before, work=work)
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == said
