"""`biodam verify`, `repair`, `compact`, `vacuum`: names and options.

Belongs here: what is printed and the exit code. Does not belong here: the work (`assets/upkeep`), whose imports are inside the commands.
"""

from __future__ import annotations

import json
import sys

import click

from orchestration.errors import FAILED
from orchestration.settings import Settings


@click.command()
@click.option("--deep", is_flag=True, help="Also the landing store, the rows of every delivery in every raw table, the databases.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def verify(settings: Settings, deep: bool, as_json: bool) -> None:
    """Compare every file of the lake with the ledger: size, SHA-256, log, hash chain. Changes nothing. Exit code 1 if anything differs."""
    from assets.upkeep.verify import bytes_to_read
    from assets.upkeep.verify import verify as work
    from orchestration.commands.show import bytes_text, progress_of_bytes

    workspace = settings.workspace()
    with progress_of_bytes("verifying", bytes_to_read(workspace, deep=deep) if sys.stderr.isatty() else 0) as progress:
        result = work(workspace, deep=deep, progress=progress)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1, ensure_ascii=False))
    else:
        for finding in result.findings:
            click.echo(finding.line)
        click.echo(f"{result.tables} tables, {result.files:,} files, {bytes_text(result.bytes)}: {_verdict(len(result.findings))}")
    sys.exit(0 if result.whole else FAILED)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def repair(settings: Settings, as_json: bool) -> None:
    """Put right what `biodam verify` finds: raw rows are landed again from the landing store, models are built anew by the next run.

    Also restores a lake of which only landing/, control/ and vault/ are left (docs/OPERATIONS.md). Exit code 1 if something is left.
    """
    from assets.run_lock import hold_lake
    from assets.upkeep.repair import repair as work
    from orchestration.commands.show import progress_of_steps

    with progress_of_steps("biodam repair") as say, hold_lake(settings.lake_root, purpose="biodam repair"):
        result = work(settings.workspace(), say)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1, ensure_ascii=False))
    else:
        lines = [*result.done, *(f"{table}: {rows:,} rows landed again" for table, rows in sorted(result.rows.items()))]
        click.echo("\n".join(lines or ["Nothing to repair."]))
        if result.rebuild:
            click.echo("Next: biodam run")
    for line in result.left:
        click.echo(f"biodam: {line}", err=True)
    sys.exit(FAILED if result.left else 0)


@click.command()
@click.pass_obj
def compact(settings: Settings) -> None:
    """Merge small files of raw tables. No row changes, nothing is rebuilt. The nightly job does it too."""
    from assets.run_lock import hold_lake
    from assets.upkeep.compaction import compact as work
    from orchestration.commands.show import progress_of_steps

    with progress_of_steps("biodam compact") as say, hold_lake(settings.lake_root, purpose="biodam compact"):
        done = work(settings.workspace(), say=say)
    for one in done:
        click.echo(f"{one.table}: {one.before} files merged into {one.after}, {one.rows:,} rows")
    click.echo("" if done else "No table has many small files.", nl=not done)


@click.command()
@click.option("--retention-days", type=click.IntRange(0), help="Keep replaced files this long; default BIODAM_RETENTION_DAYS, else 7.")
@click.option("--dry-run", is_flag=True, help="Only say what would be taken away.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def vacuum(settings: Settings, retention_days: int | None, dry_run: bool, as_json: bool) -> None:
    """Take away files that nobody reads: of replaced versions, and of writers that were killed. Never a file the catalogue names."""
    from datetime import timedelta

    from assets.run_lock import hold_lake
    from assets.upkeep.vacuum import vacuum as work
    from orchestration.commands.show import bytes_text

    days = settings.retention_days if retention_days is None else retention_days
    with hold_lake(settings.lake_root, purpose="biodam vacuum"):
        result = work(settings.workspace(), retention=timedelta(days=days), dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1))
    else:
        files = sum(map(len, result.files.values()))
        click.echo(
            f"{files:,} files, {bytes_text(result.bytes)} of {len(result.files)} tables {'would be taken away' if dry_run else 'taken away'}"
        )
    for table, why in result.skipped.items():
        click.echo(f"biodam: {table}: left alone: {why}", err=True)
    sys.exit(FAILED if result.skipped else 0)


def _verdict(differences: int) -> str:
    if not differences:
        return "all as recorded"
    return f"{differences} difference(s). Remedy: `biodam repair`, then `biodam run`"


def add_to(group: click.Group) -> None:
    """Add these commands to `biodam`."""
    for command in (verify, repair, compact, vacuum):
        group.add_command(command)
