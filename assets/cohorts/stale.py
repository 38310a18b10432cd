"""Is a frozen cohort stale? Computed from the lake of today each time it is asked; no stamp remembers it.

Belongs here: comparing a stamp with today's versions. Does not belong here: making an issue again (`reissue`), reissuing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from assets.cohorts.evaluate import members_of
from assets.cohorts.freeze import built_by, read_catalogue, request_of, vocabulary_release
from assets.cohorts.reissue import next_issue
from assets.landing.workspace import Workspace
from assets.ledger.stamps import Stamp


@dataclass(frozen=True)
class Staleness:
    """What changed since an issue was made.

    Attributes:
        stamp: The issue.
        reasons: One sentence each; empty: nothing did.
        differs: Whether the same definition, or for a reissue the same rest, has other rows today; None: not asked.
    """

    stamp: Stamp
    reasons: tuple[str, ...]
    differs: bool | None = None

    @property
    def is_stale(self) -> bool:
        """Something it was made of is of another version."""
        return bool(self.reasons)


def staleness(workspace: Workspace, stamps: Iterable[Stamp], *, exact: bool = False) -> list[Staleness]:
    """Compare stamps with the lake of today, which is looked at once.

    Args:
        workspace: The lake.
        stamps: The stamps.
        exact: Also make the rows with today's versions and compare them.
    """
    catalogue = read_catalogue(workspace)
    today = {**workspace.commits.data_versions(), **dict(catalogue.tables.values())}
    release, code = vocabulary_release(workspace, catalogue), built_by(workspace)
    judged = []
    for stamp in stamps:
        reasons = [*_moved(stamp.versions, today)]
        if release != stamp.vocabulary_release:
            reasons.append(f"vocabularies are of release {release}, not {stamp.vocabulary_release}")
        if code != stamp.code_version:
            reasons.append(f"models were built by code {code}, not {stamp.code_version}")
        judged.append(Staleness(stamp, tuple(reasons), _differs(workspace, stamp, today) if exact else None))
    return judged


def _moved(versions: Mapping[str, int], today: Mapping[str, int]) -> Iterator[str]:
    for key, version in sorted(versions.items()):
        now = today.get(key)
        if now is None:
            yield f"{key} is not there any more"
        elif now != version:
            yield f"{key}: version {now}, not {version}"


def _differs(workspace: Workspace, stamp: Stamp, today: Mapping[str, int]) -> bool:
    if any(key not in today for key in stamp.versions):
        return True
    if stamp.reissue_of is not None:
        return next_issue(workspace, stamp, day=stamp.consent_day)[1].sha256 != stamp.rows_sha256
    now = {key: today[key] for key in stamp.versions}
    return members_of(stamp.definition, now, workspace.lake, request_of(stamp)).sha256 != stamp.rows_sha256
