"""An old result, without those who left since: the members, and a statement of the difference that names nobody.

Belongs here: who leaves and why; making any issue again from the versions of its stamp. Does not belong here: storing (`freeze`).

Who leaves is read strictly. Where the stamp has a data request, a member stays while consent permits the whole request today. Where it has
none, a member stays while every kind of records that was open when the issue was made is open today: nobody knows of which of them the
result was made. Merged people count once, under the person they stand for now. Nobody joins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

from assets.cohorts.evaluate import (
    CONSENT,
    HISTORY,
    RECORD_SCOPES,
    RELATION,
    WITHDRAWAL,
    Members,
    VersionsGone,
    members_of,
    open_versions,
    permitted_sql,
)
from assets.cohorts.freeze import find, request_of, stored
from assets.governance.data_use import SMALL_CELL, withheld
from assets.landing.links import newest_links
from assets.landing.workspace import Workspace
from assets.ledger.stamps import Stamp

LINK = "raw/people/link"
WITHDREW, ENDED, ERASED, MERGED = "withdrew", "consent ended", "erased", "merged with another member"
_NEWEST = newest_links("link")


@dataclass(frozen=True)
class Rebuilt:
    """An issue made again of the versions its stamp names.

    Attributes:
        stamp: The stamp.
        members: The rows.
    """

    stamp: Stamp
    members: Members

    @property
    def is_same(self) -> bool:
        """The rows are those that were frozen."""
        return self.members.sha256 == self.stamp.rows_sha256


def next_issue(workspace: Workspace, stamp: Stamp, *, day: str) -> tuple[Stamp, Members, dict[str, Any]]:
    """The rest of an issue today: its stamp, its members and the statement of the difference.

    Args:
        workspace: The lake.
        stamp: The issue that is reissued.
        day: Day of the last build, on which consent was judged.
    """
    latest = workspace.commits.data_versions()
    versions = {key: latest[key] for key in (*CONSENT, LINK) if key in latest}
    new = replace(
        stamp, issue=workspace.stamps.next_issue(stamp.cohort), versions=versions, consent_day=day, reissue_of=stamp.issue, statement=None,
        consent_event=workspace.stamps.last_consent_delivery(), versions_let_go=None, at="",
    )  # fmt: skip
    held = stored(workspace, stamp)
    rest, left = _rest(workspace, new, held)
    left[ERASED] += stamp.people - held.people
    return new, rest, _statement(stamp, rest, left)


def rebuild(workspace: Workspace, stamp: Stamp) -> Rebuilt:
    """Make an issue again from the versions its stamp names, whatever the lake holds today.

    Raises:
        VersionsGone: Some version is not kept any more; the message says why.
    """
    try:
        return Rebuilt(stamp, _made_again(workspace, stamp))
    except VersionsGone as error:
        told = find(workspace, stamp.cohort, stamp.issue).versions_let_go
        why = f" ({told})" if told else ""
        raise VersionsGone(
            f"{stamp.name} cannot be made again: {error}{why}. Its rows and its hash stand. Remedy: biodam cohort reissue {stamp.cohort}"
        ) from error


def _made_again(workspace: Workspace, stamp: Stamp) -> Members:
    if stamp.reissue_of is None:
        return members_of(stamp.definition, stamp.versions, workspace.lake, request_of(stamp))
    before = find(workspace, stamp.cohort, stamp.reissue_of)
    return _rest(workspace, stamp, _made_again(workspace, before))[0]


def _rest(workspace: Workspace, new: Stamp, held: Members) -> tuple[Members, Counter[str]]:
    """Members of an issue who stay under the consent of another stamp's versions, and how many left by reason."""
    now = _People(workspace, new)
    survivors, stays = now.survivors(), now.who_stays(new)
    left: Counter[str] = Counter()
    kept: dict[int, int] = {}
    for person, scopes in {row[0]: row[4] for row in held.rows}.items():
        current = survivors.get(person, (person, 0))[0]
        if stays(current, scopes):
            kept[person] = current
        else:
            left[WITHDREW if current in now.withdrawn else ENDED] += 1
    left[MERGED] += len(kept) - len(set(kept.values()))
    rows = {
        (kept[person], survivors.get(person, (person, bucket))[1], start, end, scopes)
        for person, bucket, start, end, scopes in held.rows
        if person in kept
    }
    return Members(tuple(sorted(rows, key=str))), left


class _People:
    """What the tables of one stamp's consent say of everybody."""

    def __init__(self, workspace: Workspace, stamp: Stamp) -> None:
        self._lake = workspace.lake
        self._versions = {k: v for k, v in stamp.versions.items() if k in (*CONSENT, LINK)}

    def _ask(self, query: str, *keys: str) -> list[tuple[Any, ...]]:
        with open_versions(self._lake, {k: self._versions[k] for k in keys}) as connection:
            return connection.execute(query).fetchall()

    def who_stays(self, stamp: Stamp) -> Callable[[int, str], bool]:
        """Of (person, kinds of records open when the issue was made): whether the person stays."""
        request = request_of(stamp)
        if request is not None:
            asked = replace(request, day=date.fromisoformat(stamp.consent_day))
            permitted = {p for (p,) in self._ask(permitted_sql(asked), HISTORY, RELATION)}
            return lambda person, _: person in permitted
        query = "select person_id, list(distinct scope_code) from consent.consent_relation group by person_id"
        open_now = {p: frozenset(RECORD_SCOPES) if "all" in found else frozenset(found) for p, found in self._ask(query, RELATION)}
        return lambda person, scopes: person in open_now and open_now[person].issuperset(filter(None, scopes.split(",")))

    @cached_property
    def withdrawn(self) -> frozenset[int]:
        """People who withdrew from anything and have not agreed again."""
        query = "select person_id from consent.consent_withdrawal union select person_id from consent.consent_history where withdrawn_date is not null"
        return frozenset(p for (p,) in self._ask(query, WITHDRAWAL, HISTORY))

    def survivors(self) -> dict[int, tuple[int, int]]:
        """Merged person -> the person it stands for, and that one's bucket."""
        if LINK not in self._versions:
            return {}
        return {alias: (person, bucket) for alias, person, bucket in self._ask(f"select * from {_NEWEST}", LINK)}


def _statement(stamp: Stamp, rest: Members, left: Mapping[str, int]) -> dict[str, Any]:
    """What may be said of the difference: counts by reason; 1 to 4 people are withheld, and no sum gives them away."""
    gone = sum(left.values())
    hidden = any(0 < n < SMALL_CELL for n in left.values())
    return {
        "reissue_of": stamp.issue,
        "people_before": withheld(stamp.people),
        "people_after": f"{'about ' if hidden else ''}{_rounded(rest.people) if hidden else withheld(rest.people)}",
        "left": {reason: withheld(n) for reason, n in sorted(left.items()) if n},
        "left_in_all": withheld(gone) if not hidden or gone < SMALL_CELL else f"about {_rounded(gone)}",
        "joined": "0",
    }


def _rounded(count: int) -> str:
    """To the next multiple of five below: what was withheld cannot be reckoned back."""
    return f"{count // SMALL_CELL * SMALL_CELL:,}"


__all__ = ["LINK", "Rebuilt", "next_issue", "rebuild"]
