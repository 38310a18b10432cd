"""Which tests pytest-xdist keeps together: a file, or several files whose tests share a lake (`pytestmark = pytest.mark.shares("small lake")`).

The process that hands tests out collects none, and knows of each its address only: the mark is read in the text of the file. (`--dist loadgroup`, which
would carry it in the address, does nothing with pytest 9.)
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_SHARES = re.compile(r'^pytestmark = pytest\.mark\.shares\("([^"]+)"\)$', re.MULTILINE)


@cache
def kept_together(path: Path) -> str:
    """What the tests of a file share with those of other files; else the file itself."""
    named = _SHARES.search(path.read_text(encoding="utf-8"))
    return named[1] if named else str(path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The scheduler of `--dist loadfile`, which keeps files of one lake together; any other way of distribution is left alone."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByLake(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return kept_together(config.rootpath / super()._split_scope(nodeid))

    return ByLake(config, log)
