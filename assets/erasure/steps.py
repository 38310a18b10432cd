"""An erasure, step by step; each may be killed and is finished by calling it again.

Belongs here: the order, what each step notes. Does not belong here: the build between them (its caller), the work of a step (the other modules).

| step | what it does | why it may be killed |
|---|---|---|
| refused | the vault marks the person: what comes of them is quarantined from now on | one transaction; the ledger's row is made by whatever comes next |
| landing | in delivered files, records of the person are blanked, or the file is destroyed | noted first by hash; what is gone is gone |
| tables | raw tables and frozen cohorts are written anew without their rows; their buckets are owed to the next build | one commit a table; what was done is read from its log |
| built | the caller runs the build and publishes | as every build |
| purged | older files of any table that hold the person, and files of Dagster and dbt that name them, are taken away | noted first |
| scanned | every byte below the lake root is searched | changes nothing |
| finished | the receipt is signed, the vault forgets, the ledger closes, in this order | each is done again, or found done |
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from assets.erasure import artefacts, landing_store, receipt
from assets.erasure.facts import table_facts
from assets.erasure.named import LEFT, SHOWN, SILENT, Places, Said, apart, remove_named, still_open
from assets.erasure.purge import purge
from assets.erasure.samples import undestroyed
from assets.erasure.search import Sought, residue, scanner_of, search_all, sought_of
from assets.formats.reasons import Reason
from assets.lake.cut import Hits, cut_rows, find_rows
from assets.lake.writer import Write
from assets.landing.workspace import Workspace
from assets.privacy import erased
from assets.privacy.erased import Subject
from assets.quiet import break_quiet
from assets.upkeep.guard import require_whole
from assets.upkeep.unrecorded import OF_NO_BUILD, record_unrecorded

STEPS = ("refused", "landing", "tables", "purged", "scanned", "finished")

Say = Callable[[str], object]
ForgetRuns = Callable[[frozenset[str]], object]


class ErasureError(RuntimeError):
    """An erasure cannot begin or cannot end; the message says why and what to do, and names nobody."""


def cause_of(erasure_id: str) -> str:
    """Cause that commits, changes and removed files of an erasure state."""
    return f"erase {erasure_id}"


def unfinished(workspace: Workspace) -> list[str]:
    """Erasures that have begun and not ended, oldest first, whatever they were killed in."""
    known = [r["erasure_id"] for r in workspace.erasures.all() if r["finished_at"] is None]
    return [*known, *sorted(set(erased.unfinished(workspace.vault)) - set(known))]


def begin(workspace: Workspace, people: Sequence[int], *, leave_samples: bool = False) -> str:
    """First step: refuse what comes of these people from now on.

    Args:
        workspace: The lake; the caller holds it.
        people: Person ids; all of them in one erasure, with one receipt.
        leave_samples: Erase although samples have no proof of destruction.

    Returns:
        The erasure's id.

    Raises:
        ErasureError: Somebody was erased or is being erased, or samples have not been destroyed. Nothing was changed.
    """
    if done := erased.erased_among(workspace.vault, people):
        raise ErasureError(
            f"{len(done)} of {len(people)} were erased before, or an erasure of theirs is not finished. Remedy: `biodam receipt list`; `biodam erase --resume`"
            " finishes. Nothing was changed"
        )
    _, left = undestroyed(workspace, erased.aliases(workspace.vault, people))
    if left and not leave_samples:
        raise ErasureError(
            f"{left} sample(s) have no proof of destruction. Erasing the person would lose the order to destroy them. Remedy: withdraw"
            " the person and wait for the biobank's disposal records (gov_specimen_destruction), or say --leave-samples. Nothing was changed"
        )
    erasure_id = secrets.token_hex(8)
    workspace.audit.append_all("erase", [{"person_id": person, "erasure": erasure_id} for person in people])
    break_quiet(workspace.root)
    erased.begin(workspace.vault, erasure_id, people)
    _enter(workspace, erasure_id, erased.unfinished(workspace.vault)[erasure_id])
    return erasure_id


def before_build(workspace: Workspace, erasure_id: str, say: Say = lambda _: None) -> None:
    """Steps `landing` and `tables`. Call it holding the lake. Does nothing where the vault has forgotten the person already."""
    subject = erased.unfinished(workspace.vault).get(erasure_id)
    if subject is None:
        return
    break_quiet(workspace.root)
    _enter(workspace, erasure_id, subject)
    say("looking for rows and delivered files")
    for table in own_tables(workspace):  # a cut that was killed before the ledger knew it
        record_unrecorded(workspace, table)
    hits = {key: rows for key in own_tables(workspace) if (rows := find_rows(workspace.lake, key, subject.ids)).rows}
    say("destroying delivered files")
    scanner = scanner_of(workspace, subject)
    found = landing_store.search(workspace, scanner)
    numbers = numbers_of(workspace, hits, subject.ids)
    landing_store.destroy(workspace, erasure_id, landing_store.files_of_rows(workspace, numbers), found, scanner)
    _note(workspace, erasure_id, "landing", {})
    for table, found_rows in sorted(hits.items()):
        say(f"writing {table} anew")
        _cut(workspace, erasure_id, table, found_rows, subject)
    workspace.commits.note_change(cause_of(erasure_id), subject.buckets)
    workspace.erasures.release(subject.ids, reason=Reason.ERASED_PERSON, detail=Reason.ERASED_PERSON.sentence)
    artefacts.wipe_free_pages(workspace.erasures.engine)
    _note(workspace, erasure_id, "tables", {})


def after_build(
    workspace: Workspace, erasure_id: str, forget_runs: ForgetRuns, say: Say = lambda _: None, said: Said = SILENT
) -> dict[str, Any]:
    """Steps `purged`, `scanned` and `finished`. Call it holding the lake, after a build that ended well and was published.

    Args:
        workspace: The lake.
        erasure_id: An erasure whose rows are out of the raw tables.
        forget_runs: Makes Dagster forget runs, by id.
        say: Told of progress.
        said: What the operator says of places in which an earlier call found names; places that this erasure has not shown are another's.

    Returns:
        The facts of the receipt.

    Raises:
        ErasureError: Something of the person is left; the message says where. The erasure stays open.
    """
    subject = erased.unfinished(workspace.vault).get(erasure_id)
    if subject is None:
        return _close(workspace, erasure_id)
    say("looking for what came meanwhile")
    sought = sought_of(workspace, subject.ids)
    numbers = sought.numbers
    landing_store.destroy(workspace, erasure_id, {}, landing_store.search(workspace, numbers), numbers)
    say("taking older files away")
    workspace.stamps.let_go(cause_of(erasure_id))
    purge(workspace, cause_of(erasure_id), subject)
    say("searching what Dagster and dbt keep")
    cleaned = artefacts.clean(workspace.lake, numbers, forget_runs)
    if remove := [place for place in said.remove if place in workspace.erasures.facts(erasure_id).get(SHOWN, {})]:
        workspace.audit.append("erasure.names_removed", erasure=erasure_id, places=len(remove))
        cleaned += remove_named(workspace, erasure_id, sought.everything, remove, forget_runs)
    _note(workspace, erasure_id, "purged", {"artefacts": _added(workspace, erasure_id, "artefacts", cleaned)})
    say("searching every byte")
    scan = _search(workspace, erasure_id, sought, leave=said.leave)
    _note(workspace, erasure_id, "scanned", {"scan": scan, "products_to_reissue": _products(workspace)})
    return _finish(workspace, erasure_id, subject)


def _search(workspace: Workspace, erasure_id: str, sought: Sought, *, leave: bool) -> dict[str, Any]:
    """Facts of the byte scan.

    Raises:
        ErasureError: Something is left of which nobody has said that it may stay.
    """
    found = search_all(workspace, sought.everything)
    left, named = apart(found)
    facts = workspace.erasures.facts(erasure_id)
    unsaid = still_open(named, facts, leave=leave)
    _note(workspace, erasure_id, "purged", {SHOWN: named})
    if left or unsaid or found.unreadable:
        workspace.audit.append("erasure.residue", erasure=erasure_id, files=len(left), unreadable=len(found.unreadable), named=len(unsaid))
        raise ErasureError(f"erasure {erasure_id} is not finished: {'. '.join(_why(left, found.unreadable, unsaid))}")
    if named:
        _note(workspace, erasure_id, "purged", {LEFT: named})
        workspace.audit.append("erasure.names_left", erasure=erasure_id, places=len(named))
    return {"files": found.files, "bytes": found.bytes, "matches": 0, **sought.facts(), LEFT: named}


def _why(left: Places, unreadable: Sequence[str], unsaid: Places) -> Iterator[str]:
    if left or unreadable:
        yield (
            f"something of the person is left, or could not be searched: {residue(left, unreadable)}. Remedy: take these away,"
            " then `biodam erase --resume`"
        )
    if unsaid:
        yield (
            f"a name or address that nobody else in the vault has stands in {len(unsaid)} place(s): {residue(unsaid)}. Remedy: look at them (`biodam erase"
            " --found` lists all); `biodam erase --resume --remove-names-in PLACE` takes the records out of a delivered file, `--leave-names` leaves the"
            " others, and audit and receipt say so"
        )


def _finish(workspace: Workspace, erasure_id: str, subject: Subject) -> dict[str, Any]:
    """The receipt comes first: once the vault has forgotten, nothing that it needs could be asked."""
    row = workspace.erasures.get(erasure_id)
    assert row is not None
    destroyed, redacted = workspace.erasures.taken(erasure_id)
    receipt.write(
        workspace.lake,
        {
            "erasure_id": erasure_id,
            "subjects": row["subjects"],
            "started_at": row["started_at"],
            "person_ids": len(subject.ids),
            "sites": len(subject.sites),
            "identifiers_forgotten": erased.count_identifiers(workspace.vault, subject.ids),
            "tables": table_facts(workspace, cause_of(erasure_id)),
            "files_removed": workspace.upkeep.removed_because(cause_of(erasure_id)),
            "files_destroyed": destroyed,
            "files_redacted": redacted,
            "models": _models(workspace, row["facts"]["versions_before"]),
            **{name: fact for name, fact in row["facts"].items() if name not in ("versions_before", SHOWN, LEFT)},
        },
    )
    erased.forget(workspace.vault, erasure_id, subject.ids)
    return _close(workspace, erasure_id)


def _close(workspace: Workspace, erasure_id: str) -> dict[str, Any]:
    """The vault has forgotten: the receipt was written before."""
    facts, digest = receipt.read(workspace.lake, erasure_id)
    artefacts.wipe_free_pages(workspace.vault.engine)
    if (workspace.erasures.get(erasure_id) or {}).get("finished_at") is None:
        workspace.audit.append("erasure.finish", erasure=erasure_id, receipt=digest)
        workspace.erasures.finish(erasure_id, step="finished", receipt_sha256=digest)
    return {**facts, "receipt_sha256": digest}


def own_tables(workspace: Workspace) -> list[str]:
    """Tables that no build makes anew: raw rows and members of frozen cohorts."""
    return [key for key in sorted(workspace.commits.latest_versions()) if key.startswith(OF_NO_BUILD)]


def numbers_of(workspace: Workspace, hits: Mapping[str, Hits], ids: Collection[int]) -> dict[tuple[str, str, str], set[int]]:
    """(site, delivery id, source file) -> numbers of the records from which rows came, or that are held because the person withdrew."""
    numbers = workspace.withdrawn.numbers_of(ids)
    for key, found in hits.items():
        for place, these in found.numbers.items() if not key.startswith("raw/people/") else ():
            numbers.setdefault(place, set()).update(these)
    return numbers


def _cut(workspace: Workspace, erasure_id: str, table: str, hits: Hits, subject: Subject) -> None:
    commits, cause = workspace.commits, cause_of(erasure_id)
    expected, expected_log = commits.latest(table)
    require_whole(workspace, {table: expected} if expected is not None else {})
    by_delivery: Counter[tuple[str, str]] = Counter()
    for (site, delivery, _), rows in hits.places.items():
        by_delivery[site, delivery] += rows
    workspace.erasures.note_rows(erasure_id, table, by_delivery)
    write = Write(
        metadata={"cause": cause, "erased_rows": hits.rows, "replaced_files": len(hits.files)}, expected_version=expected,
        expected_log=expected_log, record_commit=workspace.recorder(cause),
    )  # fmt: skip
    cut_rows(workspace.lake, table, hits.files, subject.ids, write)


def _models(workspace: Workspace, before: Mapping[str, int]) -> dict[str, dict[str, int | None]]:
    """Tables of models that were written since the erasure began, with the versions before and after."""
    return {
        table: {"version_before": before.get(table), "version_after": version}
        for table, version in sorted(workspace.commits.latest_versions().items())
        if not table.startswith(OF_NO_BUILD) and before.get(table) != version
    }


def _products(workspace: Workspace) -> list[str]:
    """Frozen cohorts and exports made before: whoever holds a copy needs a new one."""
    cohorts = [s.name for s in workspace.stamps.all()]
    exports = workspace.lake.exports
    files = [str(p.relative_to(exports)) for p in sorted(exports.rglob("*")) if p.is_file()] if exports.exists() else []
    return [*cohorts, *(f"exports/{name}" for name in files)]


def _enter(workspace: Workspace, erasure_id: str, subject: Subject) -> None:
    """The ledger's row; made here where a kill came between the vault's mark and it."""
    key = workspace.vault.key.derive("erasure")
    names = sorted(hmac.digest(key, str(person).encode(), "sha256").hex() for person in subject.people)
    workspace.erasures.begin(erasure_id, names, step="refused")
    if "versions_before" not in workspace.erasures.facts(erasure_id):
        samples = undestroyed(workspace, subject.ids)[1]
        _note(workspace, erasure_id, "refused", {"versions_before": workspace.commits.latest_versions(), "samples_left": samples})


def _added(workspace: Workspace, erasure_id: str, fact: str, more: Counter[str]) -> dict[str, int]:
    return dict(Counter(workspace.erasures.facts(erasure_id).get(fact, {})) + more)


def _note(workspace: Workspace, erasure_id: str, step: str, facts: Mapping[str, Any]) -> None:
    """A step that is done again after a kill does not take a later one back."""
    row = workspace.erasures.get(erasure_id)
    assert row is not None
    reached = max(step, row["step"], key=STEPS.index)
    workspace.erasures.note(erasure_id, step=reached, facts=facts)


__all__ = ["STEPS", "ErasureError", "after_build", "before_build", "begin", "cause_of", "numbers_of", "own_tables", "unfinished"]
