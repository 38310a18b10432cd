"""`biodam erase`: a person taken out of the lake for good; `biodam receipt`: the evidence.

Belongs here: names, options, what is asked and printed, the build between the steps. Does not belong here: the steps (`assets/erasure`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from orchestration.errors import FAILED, UserError
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.erasure.named import Said
    from assets.erasure.preview import Preview
    from assets.landing.workspace import Workspace

_MOST_LINES = 20


@click.command()
@click.option("--person", type=int, multiple=True, help="person_id of the lake; may be said several times.")
@click.option("--people", type=click.File("r"), help="File of person ids, one a line; - reads them from standard input.")
@click.option("--site", help="Site that knows the person by a number of its own; the number is asked for, and read from standard input.")
@click.option("--resume", is_flag=True, help="Finish every erasure that was begun.")
@click.option("--late", is_flag=True, help="List what came of erased people after their erasure, and destroy these delivered files.")
@click.option("--found", is_flag=True, help="List the places in which open erasures found names or addresses.")
@click.option(
    "--leave-names", is_flag=True, help="With --resume: leave names and addresses in the places that were shown; receipt and audit say so."
)
@click.option(
    "--remove-names-in",
    "remove",
    multiple=True,
    metavar="PLACE",
    help="With --resume: take records with such a name or address out of a delivered file, or files of dbt and runs of Dagster away; may be said several times.",
)
@click.option("--leave-samples", is_flag=True, help="Erase although samples of the person have no proof of destruction.")
@click.option("--dry-run", is_flag=True, help="Only say what would be erased.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def erase(
    settings: Settings, /, resume: bool, late: bool, found: bool, leave_samples: bool, dry_run: bool, yes: bool, as_json: bool, **named: Any
) -> None:
    """Erase a person: landing store, raw tables, models and their old versions, catalogue, vault; then search every byte and sign a receipt.

    It cannot be taken back. What comes of the person later is refused at the door. A killed erasure is finished by --resume. Exit code 1 if
    anything of the person is left. A name or address that only this person has in the vault is told where it stands: say --remove-names-in or --leave-names.
    """
    from assets.erasure.preview import preview
    from assets.erasure.steps import ErasureError, begin, unfinished
    from assets.run_lock import hold_lake
    from orchestration.commands.show import progress_of_steps

    workspace = settings.workspace()
    if late:
        _late(settings, dry_run=dry_run, yes=yes)
        return
    if found:
        click.echo(_found_text(workspace))
        return
    said = _said(workspace, named["leave_names"], named["remove"], resume=resume)
    people: list[int] = []
    if not resume:
        people = _people(workspace, named["person"], named["people"], named["site"])
        if dry_run or not yes:
            seen = preview(workspace, people)
            click.echo(json.dumps(seen.__dict__, indent=1) if as_json else _preview_text(seen))
        if dry_run:
            return
        if not yes:
            click.confirm(f"Erase {'this person' if len(people) == 1 else f'these {len(people)} people'} for good?", abort=True)
    try:
        with progress_of_steps("biodam erase") as say, hold_lake(settings.lake_root, purpose="biodam erase"):
            open_ids = unfinished(workspace) if resume else [begin(workspace, people, leave_samples=leave_samples)]
            done = _carry_out(settings, open_ids, say, said) if open_ids else []
    except ErasureError as error:
        raise UserError(str(error)) from error
    if as_json:
        click.echo(json.dumps(done, indent=1))
    else:
        click.echo("\n".join(_done_text(one) for one in done) or "No erasure is unfinished.")


def _late(settings: Settings, *, dry_run: bool, yes: bool) -> None:
    """Print what came late; destroy its files."""
    from assets.erasure.late import destroy_late, late_records
    from assets.run_lock import hold_lake
    from orchestration.commands.show import table

    workspace = settings.workspace()
    with hold_lake(settings.lake_root, purpose="biodam erase --late"):
        found = late_records(workspace)
        if not found:
            click.echo("Nothing of erased people came late, or its files are destroyed.")
            return
        rows = [[str(f.key), f.ref, ", ".join(map(str, f.records)), "destroy the sample" if f.is_about_samples else ""] for f in found]
        click.echo(table(["delivery", "file", "records", "holder has to"], rows))
        if dry_run:
            return
        if not yes:
            click.confirm(f"Destroy these {len(found)} delivered file(s) in the landing store?", abort=True)
        destroy_late(workspace, found)
        workspace.audit.append("erasure.late", files=len(found))


def _people(workspace: Workspace, person: tuple[int, ...], people: TextIO | None, site: str | None) -> list[int]:
    """Everybody who was named, as the vault knows them now.

    Raises:
        UserError: Nobody, or somebody whom the vault does not know.
    """
    from orchestration.commands.consent import asked_number, person_named

    if bool(person or people) == (site is not None):
        raise UserError("name the person by --person or --people, or by --site: its number is then read from standard input")
    if site is not None:
        return [person_named(workspace, None, site, asked_number(f"Number of the person at {site}")).person_id]
    lines = [line.strip() for line in people or () if line.strip()]
    if bad := [n for n, line in enumerate(lines, 1) if not line.isdigit()]:
        raise UserError(f"line {bad[0]} of --people is no person id. Nothing was changed")
    if not (asked := [*person, *map(int, lines)]):
        raise UserError("--people names nobody. Nothing was changed")
    found = workspace.vault.people_of(asked)
    if unknown := [number for number in asked if number not in found]:
        raise UserError(f"the vault knows no person {unknown[0]}. Nothing was changed")
    return sorted({ref.person_id for ref in found.values()})


def _said(workspace: Workspace, leave: bool, remove: tuple[str, ...], *, resume: bool) -> Said:
    """What is said of names that were found.

    Raises:
        UserError: It answers nothing that was shown.
    """
    from assets.erasure.named import SILENT, Said, not_to_be_removed
    from assets.erasure.steps import unfinished

    said = Said(leave, remove)
    if said != SILENT and not resume:
        raise UserError(
            "--leave-names and --remove-names-in go with --resume: they answer what an earlier search has shown. Nothing was changed"
        )
    if wrong := not_to_be_removed(workspace, unfinished(workspace), remove) if remove else []:
        raise UserError(
            f"nothing can be taken out of {wrong[0]}: no search has shown it, or it is no delivered file and no file of dbt or Dagster."
            " Remedy: `biodam erase --found` lists the places. Nothing was changed"
        )
    return said


def _found_text(workspace: Workspace) -> str:
    """Places of open erasures in which a name or address stands, and where to look, told without it."""
    from assets.erasure.named import SHOWN, lines_of
    from assets.erasure.search import sought_of
    from assets.privacy import erased
    from orchestration.commands.show import table

    rows = []
    for erasure_id, subject in erased.unfinished(workspace.vault).items():
        shown = workspace.erasures.facts(erasure_id).get(SHOWN)
        if not shown:
            continue
        scanner = sought_of(workspace, subject.ids).everything
        for place, kinds in sorted(shown.items()):
            lines = lines_of(workspace, scanner, place)
            more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
            rows.append([erasure_id, place, _counted(kinds), ", ".join(map(str, lines[:_MOST_LINES])) + more])
    return table(["erasure", "place", "found", "lines"], rows) if rows else "No open erasure has found a name or address."


def _carry_out(settings: Settings, erasure_ids: list[str], say: Any, said: Said) -> list[dict[str, Any]]:
    """Every step of these erasures, with one build for all of them.

    Raises:
        UserError: The build failed; the erasures stay open.
    """
    from assets.erasure.steps import after_build, before_build
    from orchestration.commands.run import run

    workspace = settings.workspace()
    for erasure_id in erasure_ids:
        before_build(workspace, erasure_id, say)
    summary = run(settings, say=say)
    if summary.problems or not workspace.commits.pending().nothing:
        problem = summary.problems[0] if summary.problems else "changes are still open"
        raise UserError(
            f"the build failed: {problem}. The person is in no raw table; models may still hold them. Remedy: `biodam run`, then `biodam erase --resume`"
        )
    done = [after_build(workspace, erasure_id, lambda runs: _forget_runs(settings, runs), say, said) for erasure_id in erasure_ids]
    _tell_dagster(settings)
    return done


def _tell_dagster(settings: Settings) -> None:
    """The receipts of today on the page of erasures; the nightly job draws it again."""
    settings.export()
    settings.write_dagster_home()
    import dagster as dg

    from assets.erasure.standing import standings
    from assets.governance.erasures_asset import ERASURES, metadata_of

    with dg.DagsterInstance.get() as instance:
        metadata = metadata_of(standings(settings.workspace()))
        instance.report_runless_asset_event(dg.AssetMaterialization(ERASURES, metadata=metadata))


def _forget_runs(settings: Settings, runs: frozenset[str]) -> None:
    settings.export()
    settings.write_dagster_home()
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        for run_id in sorted(runs):
            instance.delete_run(run_id)


def _preview_text(seen: Preview) -> str:
    from orchestration.commands.show import bytes_text, table

    who = f"Person {seen.people[0]}" if len(seen.people) == 1 else f"{len(seen.people)} people"
    lines = [f"{who}, {seen.aliases} merged id(s)"]
    if seen.tables:
        lines.append(table(["table", "rows"], [[name, rows] for name, rows in sorted(seen.tables.items())]))
    lines.append(
        f"{seen.landing_files} delivered file(s), {bytes_text(seen.landing_bytes)}, hold records of theirs, {seen.shared_files} of them other people's too: records"
        " are blanked where that can be done beyond doubt, else the file is destroyed. Files that name the person elsewhere are treated alike"
    )
    lines.append(f"Searched for afterwards: {_counted(seen.values)}; not searched for: {_counted(seen.not_searched)}")
    if seen.undestroyed:
        lines.append(f"{seen.undestroyed} of {seen.samples} sample(s) have no proof of destruction: --leave-samples is needed")
    return "\n".join(lines)


def _counted(values: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in sorted(values.items())) or "nothing"


def _done_text(facts: dict[str, Any]) -> str:
    tables, scan = facts["tables"], facts["scan"]
    left = f"names left in {len(scan['names_left'])} place(s), as was said" if scan.get("names_left") else "nothing left"
    older = sum(map(len, facts["files_removed"].values()))
    return (
        f"{facts['erasure_id']}: {sum(t['rows'] for t in tables.values()):,} rows of {len(tables)} tables, {len(facts['files_redacted'])} delivered files redacted,"
        f" {len(facts['files_destroyed'])} destroyed, {older} older files, {facts['identifiers_forgotten']} identifiers. Searched {scan['files']:,} files: {left}.\n"
        f"Receipt: control/receipts/{facts['erasure_id']}.json (SHA-256 {facts['receipt_sha256']})"
    )


@click.group()
def receipt() -> None:
    """Receipts of erasures."""


@receipt.command("list")
@click.pass_obj
def list_(settings: Settings) -> None:
    """Every erasure, how far it is, and whether its receipt still holds. Exit code 1 if anything does not."""
    from assets.erasure.standing import standings
    from orchestration.commands.show import table

    found = standings(settings.workspace())
    names = ("erasure_id", "step", "started_at", "finished_at", "people", "rows", "names_left", "problem")
    click.echo(table(list(names), [[getattr(s, n) for n in names] for s in found]) if found else "Nobody was erased.")
    if any(s.problem for s in found):
        sys.exit(FAILED)


@receipt.command("verify")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def verify(settings: Settings, file: Path) -> None:
    """Check the signature of a receipt, and that the ledger knows it. Exit code 1 if either fails."""
    import hashlib

    from assets.erasure.receipt import PUBLIC_KEY, ReceiptError, check, folder

    workspace = settings.workspace()
    try:
        facts = check(file, folder(workspace.lake) / PUBLIC_KEY)
    except ReceiptError as error:
        raise UserError(str(error)) from error
    row = workspace.erasures.get(facts["erasure_id"])
    if row is None or row["receipt_sha256"] != hashlib.sha256(file.read_bytes()).hexdigest():
        click.echo("biodam: the signature holds, but the ledger knows another receipt for this erasure", err=True)
        sys.exit(FAILED)
    click.echo(
        f"{facts['erasure_id']}: the signature holds, the ledger knows it, {facts['scan']['matches']} matches in {facts['scan']['files']:,} files"
    )
