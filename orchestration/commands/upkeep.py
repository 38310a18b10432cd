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


def _verdict(differences: int) -> str:
    if not differences:
        return "all as recorded"
    return f"{differences} difference(s). Remedy: `biodam repair`, then `biodam run`"


def add_to(group: click.Group) -> None:
    """Add these commands to `biodam`."""
    for command in (verify, repair):
        group.add_command(command)
