"""Which tests pytest-xdist keeps together: a file, or several files whose tests share a lake (`pytestmark = pytest.mark.xdist_group(...)`).

Used with `--dist loadgroup`, which by itself would scatter the tests of a file that names no group. Files go out in the order of their names, lakes before
units, so that no worker ends with a long file while the other is idle (`--no-loadscope-reorder`).
"""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The scheduler of `--dist loadgroup`, by file where no group is named; any other way of distribution is left alone."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class ByFileOrGroup(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope: str = super()._split_scope(nodeid)
            return scope.split("::", 1)[0] if scope == nodeid else scope

    return ByFileOrGroup(config, log)
