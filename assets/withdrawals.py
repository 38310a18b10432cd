"""People who withdraw, and people who consent again: what a build found of them, and what landing owes them.

Belongs here: reading who has withdrawn wholly from the consent models, and landing what was held once its people consent again. Does not belong here:
judging an event of consent (`dbt_project/models/standard`), keeping a record out (`assets/landing`), their rows (`assets/ledger/withdrawn`).

Somebody has withdrawn wholly where a withdrawal is in force, no consent is, and every kind of records that they ever opened was closed by a withdrawal:
consent that merely ran out, or that an event nobody understands ended, may be renewed, and data may come before the word does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import duckdb

from assets.alerts import safe_message
from assets.formats.reasons import Reason
from assets.lake.commits import read_snapshot
from assets.lake.versions import files_of
from assets.landing.again import CannotReplay, Replayed, replay
from assets.landing.holding import CONSENTED
from assets.landing.land import ConservationError
from assets.landing.links import newest_links
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey, IllegalTransition
from assets.quiet import break_quiet

_WITHDRAWAL, _HISTORY, _RELATION = "standard/consent_withdrawal", "standard/consent_history", "standard/consent_relation"
_LINKS = "raw/people/link"
_COLUMNS = {
    "withdrawal": "null::bigint as person_id, null::integer as person_bucket, null::varchar as scope_code, null::date as withdrawn_date",
    "history": "null::bigint as person_id, null::varchar as scope_code",
    "relation": "null::bigint as person_id, null::varchar as legal_basis",
    "link": "null::bigint as alias_person_id, null::bigint as person_id, null::integer as person_bucket, 0 as _sequence, null::timestamptz as _landed_at",
}


def note_withdrawn(workspace: Workspace, *, buckets: Collection[int] | None, left_out: Collection[int] = ()) -> None:
    """Write to the ledger who has withdrawn wholly, of the buckets that a build has made anew.

    Args:
        workspace: The lake; the ledger knows the versions that the build wrote.
        buckets: Person buckets rebuilt; None: all. Only files of these are read.
        left_out: Ids of people whom the build left out: what was known of them stands.
    """
    tables = {"withdrawal": _WITHDRAWAL, "history": _HISTORY, "relation": _RELATION}
    sources = {name: _files(workspace, key, buckets) for name, key in tables.items()}
    if sources["withdrawal"] is None:
        workspace.withdrawn.replace([], buckets=buckets, leave=left_out)
        return
    sources["link"] = _files(workspace, _LINKS, None)
    ctes = ", ".join(f"{name} as (from {source or f'(select {_COLUMNS[name]} where false)'})" for name, source in sources.items())
    query = f"""
        with {ctes},
        gone as (
            select person_id, person_bucket, max(withdrawn_date) as since
            from withdrawal
            where {_is_of(buckets)} and person_id not in (select person_id from relation where legal_basis = '{CONSENTED}')
                and person_id not in (select person_id from (from history select person_id, scope_code except from withdrawal select person_id, scope_code))
            group by all
        ),
        alias as {newest_links("link")}
        select person_id, person_bucket, since from gone
        union all
        select alias.alias_person_id, gone.person_bucket, gone.since from gone inner join alias using (person_id)
        where alias.alias_person_id <> gone.person_id
    """
    with duckdb.connect() as connection:
        found = connection.execute(query).fetchall()
    people = [{"person_id": person, "person_bucket": bucket, "since": since.isoformat()} for person, bucket, since in found]
    workspace.withdrawn.replace(people, buckets=buckets, leave=left_out)


def _is_of(buckets: Collection[int] | None) -> str:
    return "true" if buckets is None else f"person_bucket in ({', '.join(str(int(b)) for b in sorted(buckets)) or 'null'})"


def _files(workspace: Workspace, key: str, buckets: Collection[int] | None) -> str | None:
    """What to select from to read some buckets of a table; None: no file has any."""
    version = workspace.commits.latest_version(key)
    if version is None:
        return None
    snapshot = read_snapshot(workspace.lake, key, version).of_buckets(buckets)
    return files_of(snapshot, union_by_name=True) if snapshot.files else None


def has_released(workspace: Workspace) -> bool:
    """Is anything owed to people who consent again?"""
    return bool(workspace.withdrawn.released() or workspace.withdrawn.killed_replays())


def finish_replays(workspace: Workspace, say: Callable[[str], object] = lambda _: None) -> list[Replayed]:
    """Finish replays that were killed. Call it holding the lake, before a build: who consents may be judged otherwise after it."""
    return [_replayed(workspace, DeliveryKey(*names), say) for names in workspace.withdrawn.killed_replays()]


def land_released(workspace: Workspace, say: Callable[[str], object] = lambda _: None) -> list[Replayed]:
    """Land what was held of people who consent again, one delivery after the other. Call it holding the lake, after a build.

    A delivery that cannot be parsed as it was keeps its records in quarantine; nobody tries it again but `biodam quarantine replay`.

    Returns:
        What was done, one entry a delivery; `problem` where it could not be.
    """
    return [_replayed(workspace, DeliveryKey(*names), say) for names in workspace.withdrawn.released()]


def _replayed(workspace: Workspace, key: DeliveryKey, say: Callable[[str], object]) -> Replayed:
    say(f"landing what was held of {key}: its people are not withdrawn")
    break_quiet(workspace.root)
    ids = {
        e["id"]
        for e in workspace.deliveries.quarantined(site=key.site, feed=key.feed, delivery_id=key.delivery_id, reason=Reason.PERSON_WITHDRAWN)
    }
    try:
        return replay(workspace, key, ids)
    except (CannotReplay, ConservationError, IllegalTransition) as error:
        workspace.withdrawn.note_problem(key, str(error))
        workspace.withdrawn.give_up_replay(key)
        return Replayed(
            key,
            problem=f"{error}. What is held of it was not landed; have it delivered again under a new id, or `biodam quarantine replay {key}`",
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:  # the next run tries again
        return Replayed(key, problem=safe_message(error))


__all__ = ["finish_replays", "has_released", "land_released", "note_withdrawn"]
