"""Records that must not be touched, and the test hooks that play a faulty parser.

Belongs here: what an earlier crash taught (`Recovery`), planted crashes. Does not belong here: real errors of records (the parsers).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from assets.formats.job import Job


class Faults:
    """What a reader asks before it touches records.

    Test hooks are options of the job, never of the environment: `test_crash_on`, `test_hang_on` and `test_memory_on` hold a text; a block
    that contains it aborts, sleeps for ever, or eats memory.
    """

    def __init__(self, job: Job) -> None:
        """Read the job's recovery notes and hooks."""
        self._recovery = job.recovery
        hooks: tuple[tuple[str, Callable[[], None]], ...] = (
            ("test_crash_on", os.abort),
            ("test_hang_on", _hang),
            ("test_memory_on", _eat_memory),
        )
        self._hooks = [(str(job.options[name]).encode(), act) for name, act in hooks if job.options.get(name)]

    @property
    def hooked(self) -> bool:
        """Is any test hook set?"""
        return bool(self._hooks)

    def careful(self, file: int, first: int) -> bool:
        """Must the block that begins with this record be read one record at a time?"""
        return (file, first) in self._recovery.careful

    def exact(self, file: int) -> bool:
        """Must this file be read without a fast path?"""
        return file in self._recovery.exact

    def skipped(self, file: int, number: int) -> str | None:
        """Why a record must not be touched, if so."""
        return self._recovery.skip.get((file, number))

    def lost(self, file: int) -> str | None:
        """Why a file must not be touched, if so."""
        return self._recovery.lost.get(file)

    def trip(self, data: bytes) -> None:
        """Play the faulty parser, if a hook is set and the data holds its text."""
        for text, act in self._hooks:
            if text in data:
                act()


def _hang() -> None:
    while True:
        time.sleep(60)


def _eat_memory() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(16 * 2**20))
