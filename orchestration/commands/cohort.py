"""`biodam cohort`: results frozen with a stamp of everything they were made of, made again, judged stale, reissued.

Belongs here: names, options, what is printed. Does not belong here: the work (`assets/cohorts`), whose imports are inside the commands. No
member is ever printed; what is recorded in the audit are names and counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration.errors import FAILED, UserError
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.cohorts.definition import Definition
    from assets.cohorts.evaluate import Members
    from assets.landing.workspace import Workspace
    from assets.ledger.stamps import Stamp

_FILE = click.Path(path_type=Path, dir_okay=False)
_ISSUE = click.option("--issue", type=click.IntRange(1), help="Default: the newest.")
_JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group()
def cohort() -> None:
    """Frozen cohorts: who was in a result, and everything that it was made of."""


@cohort.command()
@click.argument("name")
@click.option(
    "--sql",
    "file",
    type=_FILE,
    help="File with one query on published tables that yields person_id, and cohort_start_date, cohort_end_date if it has them.",
)
@click.option("--table", help="A published table of people, for example cohort_type2_diabetes, taken as it is.")
@click.option(
    "--request", type=_FILE, help="The project's data request (as for `biodam consent match`): only people whose consent permits all of it."
)
@click.option("--dry-run", is_flag=True, help="Only say how many people it would be; counts of 1 to 4 are withheld.")
@_JSON
@click.pass_obj
def freeze(settings: Settings, /, name: str, dry_run: bool, as_json: bool, **chosen: Any) -> None:
    """Store the people of a definition as the next issue of cohort NAME, stamped with definition, table versions, vocabulary, code and consent."""
    from assets.cohorts.freeze import preview, stamp_of, store
    from assets.governance.data_request import as_json as request_as_json
    from assets.run_lock import hold_lake

    workspace = settings.workspace()
    with hold_lake(settings.lake_root, purpose="biodam cohort freeze"):
        definition = _definition(workspace, chosen["file"], chosen["table"])
        day = _consent_day(workspace)
        request = None if chosen["request"] is None else request_as_json(_request(chosen["request"], day))
        stamp = stamp_of(workspace, name, definition, request, day=day)
        members = preview(workspace, stamp)
        if not dry_run:
            workspace.audit.append(
                "cohort.freeze", **_told(stamp), people=_count(members.people)
            )  # before: the record never lacks what is kept
            stamp = store(workspace, stamp, members)
    if dry_run:
        workspace.audit.append("cohort.preview", **_told(stamp))
    _say_made(stamp, members, as_json=as_json, dry_run=dry_run)


@cohort.command("list")
@_JSON
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """Every frozen issue, and whether it is stale today."""
    from assets.cohorts.stale import staleness
    from orchestration.commands.show import table

    workspace = settings.workspace()
    stamps = workspace.stamps.all()
    judged = staleness(workspace, stamps) if stamps else []
    if as_json:
        click.echo(json.dumps([{**_facts(j.stamp), "stale_because": list(j.reasons)} for j in judged], indent=1, ensure_ascii=False))
        return
    rows = [
        [j.stamp.cohort, j.stamp.issue, j.stamp.at[:16], _count(j.stamp.people), j.stamp.consent_day, _project(j.stamp), j.is_stale]
        for j in judged
    ]
    click.echo(
        table(["cohort", "issue", "frozen at", "people", "consent of", "project", "stale"], rows) if rows else "Nothing is frozen yet."
    )


@cohort.command()
@click.argument("name")
@_ISSUE
@_JSON
@click.pass_obj
def show(settings: Settings, name: str, issue: int | None, as_json: bool) -> None:
    """The stamp of one issue: of what it was made."""
    from assets.cohorts.freeze import find

    stamp = find(settings.workspace(), name, issue)
    click.echo(json.dumps(_facts(stamp), indent=1, ensure_ascii=False) if as_json else _as_text(stamp))


@cohort.command()
@click.argument("name", required=False)
@click.option("--exact", is_flag=True, help="Also make the rows with today's versions, and say whether any differs.")
@_JSON
@click.pass_obj
def stale(settings: Settings, name: str | None, exact: bool, as_json: bool) -> None:
    """What changed since the newest issue of each cohort (or of NAME) was made. Exit code 1 if anything did."""
    from assets.cohorts.freeze import find
    from assets.cohorts.stale import staleness

    workspace = settings.workspace()
    newest = [find(workspace, name)] if name else list({s.cohort: s for s in workspace.stamps.all()}.values())
    judged = staleness(workspace, newest, exact=exact) if newest else []
    if as_json:
        said = [
            {"cohort": j.stamp.cohort, "issue": j.stamp.issue, "stale_because": list(j.reasons), "rows_differ": j.differs} for j in judged
        ]
        click.echo(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        for one in judged:
            rows = "" if one.differs is None else ("; its rows would differ today" if one.differs else "; its rows would be the same today")
            click.echo(f"{one.stamp.name}: {'stale' if one.is_stale else 'nothing it was made of has changed'}{rows}")
            click.echo("".join(f"  {reason}\n" for reason in one.reasons), nl=False)
    sys.exit(FAILED if any(j.is_stale for j in judged) else 0)


@cohort.command()
@click.argument("name")
@_ISSUE
@click.option("--restore", is_flag=True, help="Put the rows back, where a damaged table lost them.")
@_JSON
@click.pass_obj
def rebuild(settings: Settings, name: str, issue: int | None, restore: bool, as_json: bool) -> None:
    """Make an issue again from the versions of its stamp and compare the rows. Exit code 1 if they differ or versions are gone."""
    from assets.cohorts.evaluate import VersionsGone
    from assets.cohorts.freeze import find
    from assets.cohorts.freeze import restore as put_back
    from assets.cohorts.reissue import rebuild as work
    from assets.run_lock import hold_lake

    workspace = settings.workspace()
    stamp = find(workspace, name, issue)
    try:
        done = work(workspace, stamp)
    except VersionsGone as error:
        raise UserError(str(error)) from error
    workspace.audit.append("cohort.rebuild", **_told(stamp), same=done.is_same, restored=restore)
    if restore:
        with hold_lake(settings.lake_root, purpose="biodam cohort rebuild"):
            put_back(workspace, stamp, done.members)
    said = {
        "cohort": stamp.cohort,
        "issue": stamp.issue,
        "same": done.is_same,
        "rows_sha256": done.members.sha256,
        "frozen_sha256": stamp.rows_sha256,
    }
    verdict = "the same rows" if done.is_same else f"OTHER ROWS than were frozen: {done.members.sha256} is not {stamp.rows_sha256}"
    click.echo(json.dumps(said, indent=1) if as_json else f"{stamp.name}, made again from the versions of its stamp: {verdict}")
    sys.exit(0 if done.is_same else FAILED)


@cohort.command()
@click.argument("name")
@click.option("--issue", type=click.IntRange(1), help="Issue whose rest is issued; default: the newest.")
@click.option("--dry-run", is_flag=True, help="Only say how it would differ.")
@_JSON
@click.pass_obj
def reissue(settings: Settings, name: str, issue: int | None, dry_run: bool, as_json: bool) -> None:
    """The old result without those who withdrew, whose consent ended or who were erased since, as a new issue, and how it differs. Nobody joins."""
    from assets.cohorts.freeze import find, store
    from assets.cohorts.reissue import next_issue
    from assets.run_lock import hold_lake

    workspace = settings.workspace()
    with hold_lake(settings.lake_root, purpose="biodam cohort reissue"):
        old = find(workspace, name, issue)
        new, members, statement = next_issue(workspace, old, day=_consent_day(workspace))
        if not dry_run:
            workspace.audit.append("cohort.reissue", **_told(new), of=old.issue, people=_count(members.people))
            new = store(workspace, new, members, statement=statement)
    said = {"cohort": new.cohort, "issue": None if dry_run else new.issue, **statement}
    click.echo(json.dumps(said, indent=1, ensure_ascii=False) if as_json else _difference(new, statement, dry_run=dry_run))


@cohort.command()
@click.argument("name")
@click.option("--project", required=True, help="Who gets it: people have other pseudonyms in each project.")
@_ISSUE
@_JSON
@click.pass_obj
def export(settings: Settings, name: str, project: str, issue: int | None, as_json: bool) -> None:
    """Write an issue to exports/PROJECT as Parquet: pseudonyms of this project and dates, never a person_id."""
    import hashlib

    from assets.cohorts.export import make_export, write_export
    from assets.cohorts.freeze import find
    from assets.run_lock import hold_lake

    workspace = settings.workspace()
    with hold_lake(settings.lake_root, purpose="biodam cohort export"):
        stamp = find(workspace, name, issue)
        made = make_export(workspace, stamp, project, day=_consent_day(workspace))
        digest = hashlib.sha256(made.content).hexdigest()
        told = {**_told(stamp), "project": project, "sha256": digest}
        workspace.audit.append("cohort.export", **told, people=_count(made.people))  # before: no file without a row
        write_export(made)
    said = {**told, "file": str(made.path), "people": _count(made.people)}
    click.echo(
        json.dumps(said, indent=1) if as_json else f"{stamp.name} for {project}: {said['people']} people\n{made.path}\nsha256 {digest}"
    )


@cohort.command()
@click.argument("name")
@click.option("--issue", type=click.IntRange(1), required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def retire(settings: Settings, name: str, issue: int, yes: bool) -> None:
    """Hold an issue no longer: its rows go, and vacuum need not keep the versions it was made of. Its stamp stays on record."""
    from assets.cohorts.freeze import find
    from assets.cohorts.freeze import retire as work
    from assets.run_lock import hold_lake

    workspace = settings.workspace()
    stamp = find(workspace, name, issue)
    if not yes:
        click.confirm(f"Retire {stamp.name}? It cannot be made again afterwards", abort=True)
    with hold_lake(settings.lake_root, purpose="biodam cohort retire"):
        workspace.audit.append("cohort.retire", **_told(stamp))
        work(workspace, stamp)
    click.echo(f"{stamp.name} is retired; the next vacuum may take its versions away")


def _definition(workspace: Workspace, file: Path | None, table: str | None) -> Definition:
    from assets.cohorts.definition import of_table, read_definition
    from assets.cohorts.freeze import columns_of, read_catalogue

    if (file is None) == (table is None):
        raise UserError("name the definition by --sql FILE or by --table NAME")
    published = read_catalogue(workspace).tables
    if file is not None:
        try:
            return read_definition(file.read_text(encoding="utf-8"), published)
        except (FileNotFoundError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: there is no such file, or it is not UTF-8") from error
    assert table is not None
    if table not in published:
        raise UserError(f'{table[:80]} is no published table. Remedy: biodam sql "show tables"')
    return read_definition(of_table(table, columns_of(workspace, table)), published)


def _request(file: Path, day: str) -> Any:
    from datetime import date

    from assets.governance.data_request import load_request

    return load_request(file, day=date.fromisoformat(day))


def _consent_day(workspace: Workspace) -> str:
    """Day on which the last build judged consent."""
    last = workspace.commits.last_build()
    if last is None:
        raise UserError("nothing was built yet. Remedy: biodam run")
    return str(last["as_of"])


def _told(stamp: Stamp) -> dict[str, Any]:
    """What the audit is told: no member, and of the definition its hash."""
    project = (stamp.request or {}).get("project")
    return {
        "cohort": stamp.cohort,
        "issue": stamp.issue,
        "definition_sha256": stamp.definition_sha256,
        **({"project": project} if project else {}),
    }


def _project(stamp: Stamp) -> str:
    return str((stamp.request or {}).get("project", ""))


def _count(people: int) -> str:
    from assets.governance.data_use import withheld

    return withheld(people)


def _facts(stamp: Stamp) -> dict[str, Any]:
    names = (
        "cohort", "issue", "at", "definition", "definition_sha256", "versions", "vocabulary_release", "code_version", "consent_day", "consent_event",
        "request", "reissue_of", "statement", "rows_sha256", "versions_let_go",
    )  # fmt: skip
    return {**{n: getattr(stamp, n) for n in names}, "people": _count(stamp.people)}


def _as_text(stamp: Stamp) -> str:
    request = "none" if stamp.request is None else f"project {stamp.request['project']}, purposes {' '.join(stamp.request['purposes'])}"
    lines = [
        f"{stamp.name}, frozen {stamp.at[:16]} UTC",
        f"people        {_count(stamp.people)}",
        f"rows          {stamp.rows_sha256}",
        f"definition    {stamp.definition_sha256}",
        f"              {stamp.definition}",
        f"vocabularies  {stamp.vocabulary_release}",
        f"code          {stamp.code_version}",
        f"consent       of {stamp.consent_day}; last event taken: {stamp.consent_event or 'none'}",
        f"request       {request}",
        "tables        " + "\n              ".join(f"{key} version {version}" for key, version in sorted(stamp.versions.items())),
    ]
    if stamp.versions_let_go:
        lines.append(f"versions      need not be kept any more: {stamp.versions_let_go}")
    return "\n".join([*lines, *([_difference(stamp, stamp.statement, dry_run=False)] if stamp.statement else [])])


def _say_made(stamp: Stamp, members: Members, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        click.echo(json.dumps({**_facts(stamp), "people": _count(members.people), "dry_run": dry_run}, indent=1, ensure_ascii=False))
    elif dry_run:
        click.echo(f"{_count(members.people)} people; nothing was written")
    else:
        click.echo(f"{stamp.name}: {_count(members.people)} people, rows {stamp.rows_sha256}\nNext: biodam cohort show {stamp.cohort}")


def _difference(stamp: Stamp, statement: Any, *, dry_run: bool) -> str:
    left = "\n".join(f"  {reason}: {people}" for reason, people in statement["left"].items()) or "  nobody left"
    head = "would be reissued" if dry_run else f"reissued as issue {stamp.issue}"
    return (
        f"{stamp.cohort} issue {statement['reissue_of']} {head}: {statement['people_before']} people before, {statement['people_after']} after\n"
        f"{left}\nNobody joined. A count of 1 to 4 people is withheld; totals that would give it away are rounded."
    )
