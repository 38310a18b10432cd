"""Python's cycle collector: paused while a delivery lands, and seldom at work in processes that load much and then end.

Belongs here: when the collector looks, and why. Does not belong here: memory itself, which landing bounds by working batch by batch.

Objects without cycles are freed at once as ever; only what is part of a cycle waits for the collector.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (50_000, 5, 5)
"""Python's are (700, 10, 10). Higher: cycles wait longer, some ten MiB of them. Lower: the imports pay for looks that find nothing."""


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the collector, unless somebody else has, while a delivery lands.

    Landing makes objects by the million (identifiers, decoded documents) and hardly a cycle among them; each so many new objects, the collector
    looks through all that are alive, a loaded Dagster included: up to a quarter of the CPU of a landing. What cycles there are wait for the end
    of the delivery.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def collect_seldom() -> None:
    """For a process that imports Dagster or dbt, works and ends: seldom look for cycles, and never again once it ends.

    The looks while Dagster or dbt is imported cost 0.3 to 0.7 CPU s, and the one through all that is alive at the end of the process 0.5. What is
    open is closed by those who opened it, not by the collector.
    """
    gc.set_threshold(*SELDOM)
    atexit.register(gc.freeze)
