"""Python's cycle collector, paused while a delivery lands.

Belongs here: the pause and why. Does not belong here: memory itself, which landing bounds by working batch by batch.

Landing makes objects by the million (identifiers, decoded documents) and hardly a cycle among them; each so many new objects, the collector
looks through all that are alive, a loaded Dagster included: up to a quarter of the CPU of a landing. Objects without cycles are freed at once
as ever; what cycles there are wait for the end of the delivery.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the collector unless somebody else has."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
