"""Take in what is closed and land what is accepted, one delivery after the other, none in the way of the next.

Belongs here: the loop and what happens when one delivery fails. Does not belong here: how one delivery is admitted or landed
(`assets/landing`), Dagster (`landed`).
"""

from __future__ import annotations

import json
import resource
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from assets.alerts import Alert, raise_alert, safe_message
from assets.landing.door import admit, closed_folders, recover_stored
from assets.landing.folders import told_names
from assets.landing.manifest import MANIFEST
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey
from assets.ledger.schema import DeliveryState
from assets.privacy.keys import KeyProblem
from assets.quiet import break_quiet

Say = Callable[[str], object]


@dataclass
class Taken:
    """What the door did.

    Attributes:
        keys: Deliveries that went through it, refused and duplicate ones too.
        failures: Deliveries on which the door itself failed; they still lie in the inbox.
    """

    keys: list[DeliveryKey] = field(default_factory=list)
    failures: list[Alert] = field(default_factory=list)


@dataclass
class Landed:
    """What landing one delivery did. Counts are records; `quarantined` is by reason, `rows` by entity.

    Attributes:
        cpu_s: CPU seconds of this process and its children.
        bytes: Delivered bytes.
    """

    key: DeliveryKey
    state: DeliveryState
    bytes: int = 0
    delivered: int = 0
    landed: int = 0
    duplicate: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    rows: dict[str, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    reason: str | None = None
    detail: str | None = None
    cpu_s: float = 0.0


def take_in(
    workspace: Workspace,
    *,
    sites: Collection[str] | None = None,
    feed: str | None = None,
    run_id: str | None = None,
    say: Say | None = None,
) -> Taken:
    """Take waiting deliveries through the door, of each site and feed up to the first that is accepted.

    A delivery that repeats the one before it is recognised only when that one is landed; so the next is taken in after landing
    (`land_waiting`).

    Args:
        workspace: The lake.
        sites: Only these; None: all, unknown sites included (they are refused by name).
        feed: Only this feed, and deliveries of feeds that their site does not send (they are refused by name); None: all.
        run_id: Dagster run, for alerts.
        say: Told of each refusal in one line.
    """
    taken = Taken()
    recover_stored(workspace)
    for queue in _queues(workspace, sites, feed):
        for folder in queue:
            key = _admit(workspace, folder, taken, run_id, say)
            if key is not None and _state(workspace, key) == DeliveryState.ACCEPTED:
                break
    return taken


def land_waiting(
    workspace: Workspace, feed: str, *, sites: Collection[str] | None = None, run_id: str | None = None, say: Say | None = None
) -> tuple[list[Landed], list[Alert]]:
    """Land every accepted or waiting delivery of one feed, in the order of site and sequence.

    A delivery whose landing raises stays accepted, is noted as an alert, and the next one is landed.

    Raises:
        KeyProblem: The vault cannot be opened; no delivery could be landed.
    """
    landed: list[Landed] = []
    taken = Taken()

    def land_key(key: DeliveryKey) -> None:
        if say is not None:
            say(f"landing {key}")
        try:
            landed.append(_land_one(workspace, key))
        except KeyProblem:
            raise
        except Exception as error:  # one bad delivery must not stop the others
            taken.failures.append(_alert(workspace, "delivery_failed", str(key), error, run_id))

    recover_stored(workspace)
    for key in workspace.deliveries.in_state(DeliveryState.ACCEPTED):
        if key.feed == feed and (sites is None or key.site in sites):
            land_key(key)
    for queue in _queues(workspace, sites, feed):
        for folder in queue:
            admitted = _admit(workspace, folder, taken, run_id, say)
            if admitted is not None and _state(workspace, admitted) == DeliveryState.ACCEPTED:
                land_key(admitted)
    return landed, taken.failures


def _queues(workspace: Workspace, sites: Collection[str] | None, feed: str | None) -> list[list[Path]]:
    """Waiting deliveries by site and feed, each in the order of sequence numbers."""
    queues: dict[tuple[str, str], list[tuple[int, Path]]] = {}
    for folder in closed_folders(workspace.lake.inbox):
        site, of = folder.parts[-3:-1]
        known = site in workspace.sites and of in workspace.sites[site].feeds
        if (sites is None or site in sites) and (feed is None or of == feed or not known):
            queues.setdefault((site, of), []).append((_sequence(folder), folder))
    return [[folder for _, folder in sorted(queue)] for _, queue in sorted(queues.items())]


def _sequence(folder: Path) -> int:
    """What the manifest says; the door says whether it may."""
    try:
        return int(json.loads((folder / MANIFEST).read_bytes())["sequence"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0


def _admit(workspace: Workspace, folder: Path, taken: Taken, run_id: str | None, say: Say | None) -> DeliveryKey | None:
    break_quiet(workspace.root)
    try:
        key = admit(workspace, folder)
    except Exception as error:  # one bad delivery must not keep the others outside
        taken.failures.append(_alert(workspace, "door_failed", "/".join(told_names(folder)[:2]), error, run_id))
        return None
    taken.keys.append(key)
    row = workspace.deliveries.get(key)
    if say is not None and row is not None and row["state"] == DeliveryState.REFUSED:
        say(f"{key} refused: {row['reason']}: {row['detail']}")
    return key


def _state(workspace: Workspace, key: DeliveryKey) -> str:
    row = workspace.deliveries.get(key)
    return str(row["state"]) if row is not None else ""


def _land_one(workspace: Workspace, key: DeliveryKey) -> Landed:
    from assets.landing.land import land  # pulls in Arrow and delta-rs, which a run of duplicates and refusals does not need

    before = _cpu_s()
    land(workspace, key)
    result = read_landed(workspace, key)
    result.cpu_s = round(_cpu_s() - before, 2)
    return result


def read_landed(workspace: Workspace, key: DeliveryKey) -> Landed:
    """What landing a delivery did, as the ledger has it."""
    row = workspace.deliveries.get(key) or {}
    counts = workspace.deliveries.entity_counts(key)
    result = Landed(
        key, DeliveryState(row["state"]), bytes=row["bytes"], delivered=row["delivered"], landed=row["landed"], duplicate=row["duplicate"],
        rows={c["entity"]: c["landed"] for c in counts}, reason=row["reason"], detail=row["detail"],
        versions={c["entity"]: c["table_version"] for c in counts if c["table_version"] is not None},
    )  # fmt: skip
    if row["quarantined"]:
        for entry in workspace.deliveries.quarantined(site=key.site, feed=key.feed, delivery_id=key.delivery_id):
            result.quarantined[entry["reason"]] += entry["records"]
    return result


def _alert(workspace: Workspace, kind: str, subject: str, error: Exception, run_id: str | None) -> Alert:
    message = safe_message(error)
    try:
        return raise_alert(workspace.root, kind, subject, message, run_id=run_id)
    except OSError:  # the disk may be full: the alert is still part of the run's outcome
        return Alert("", kind, subject, message, run_id)


def _cpu_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)
