"""The command `biodam`.

Belongs here: names, options and help of the commands. Does not belong here: what they do (`orchestration/commands`). Heavy imports are
inside the commands: an idle `biodam run` must cost less than half a CPU second.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from assets.collector import collect_seldom
from assets.sites.feed_kinds import FEED_KINDS
from orchestration.commands import upkeep
from orchestration.commands.audit import audit
from orchestration.commands.cohort import cohort
from orchestration.commands.consent import consent
from orchestration.commands.erase import erase, receipt
from orchestration.commands.explain import explain as explain_person
from orchestration.commands.identity import identity
from orchestration.commands.vault import vault
from orchestration.errors import FAILED, UserError, explain
from orchestration.settings import VARIABLES, Settings, read_settings

_EPILOG = "Environment:\n\n" + "\n\n".join(f"{name}: {text}" for name, text in VARIABLES.items())
_FOLDER = click.Path(path_type=Path, file_okay=False)


class _Group(click.Group):
    """Commands in the order in which one needs them, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.pass_context
def cli(context: click.Context) -> None:
    r"""Deliveries of hospitals in, consented cohort marts out.

    \b
    biodam deliver FILES --site h01 --feed fhir_r4   put a delivery into the inbox
    biodam run                                       land it, build what changed, publish
    biodam status                                    is every record accounted for?
    biodam sql "select * from person limit 5"        read the published tables
    """
    context.obj = read_settings()


@cli.command()
@click.option("--people", type=click.IntRange(1), required=True, help="People in the country.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--out", type=_FOLDER, required=True, help="An empty or new folder.")
@click.option("--hostile", is_flag=True, help="Add deliveries that no door may accept.")
def simulate(people: int, seed: int, out: Path, hostile: bool) -> None:
    """Make a synthetic country with known truth: deliveries of hospitals, agencies, devices and a consent service, with planted errors."""
    from assets.simulation.simulate import simulate as make
    from orchestration.commands.show import bytes_text, progress_of_count

    with progress_of_count("simulating", people) as progress:
        done = make(people, seed, out, progress, hostile=hostile)
    click.echo(
        f"{done.people:,} people, {done.deliveries} deliveries, {done.files} files, {done.records:,} records, {bytes_text(done.bytes)} in {out}\n"
        f"Truth to compare with: {out / 'truth'}\n"
        f"Next: biodam deliver {out / 'deliveries'} && biodam run"
    )


@cli.command(name="score")
@click.argument("country", type=_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def score_country(settings: Settings, country: Path, as_json: bool) -> None:
    """Compare the lake with the truth of the simulated COUNTRY it was fed with: precision and recall of each stage.

    COUNTRY is the folder that `biodam simulate --out` made. Set BIODAM_AS_OF to the day of the build where that is not today.
    """
    from orchestration.commands.score import as_text, compare

    scores = compare(settings, country)
    click.echo(json.dumps([asdict(s) for s in scores], indent=1, ensure_ascii=False) if as_json else as_text(scores))


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--site", help="Site that delivers, for example h01.")
@click.option("--feed", help=f"Feed: {', '.join(FEED_KINDS)}. What each takes: docs/FORMATS.md.")
@click.option("--period", help="What the delivery covers, for example 2026-01.")
@click.option("--delivery-id", help="Name of the delivery; default: day and number.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only files whose relative path matches; may be given again.")
@click.option("--link", is_flag=True, help="Hard-link instead of copying; only for files that nobody changes any more.")
@click.pass_obj
def deliver(
    settings: Settings, /, path: Path, site: str | None, feed: str | None, include: tuple[str, ...], link: bool, **named: str | None
) -> None:
    """Put PATH (a file or a folder of files) into the inbox as one delivery.

    Everything in the folder is delivered, with its hash and size in manifest.json, which is written last. Without --site and --feed, PATH
    holds deliveries that are closed already (folders with manifest.json, as `biodam simulate` writes them); they are handed on unchanged.
    """
    from orchestration.commands import deliver as work
    from orchestration.commands.show import bytes_text, progress_of_bytes

    if (site is None) != (feed is None):
        raise click.UsageError("give --site and --feed together, or neither to hand on closed deliveries")
    workspace = settings.workspace()
    if site is not None and feed is not None:
        files = work.loose_files(path, include)
        wish = work.Wish(site, feed, named["period"], named["delivery_id"], include, link)
        with progress_of_bytes("delivering", sum(p.stat().st_size for p, _ in files)) as progress:
            done = [work.deliver_files(workspace, files, wish, day=settings.day.isoformat(), progress=progress)]
    else:
        folders = work.closed_deliveries(path)
        if not folders:
            raise UserError(f"{path}: no closed delivery there. Remedy: give --site and --feed to wrap loose files in one")
        with progress_of_bytes("delivering", sum(f.stat().st_size for d in folders for f in d.rglob("*"))) as progress:
            done = [work.hand_on(workspace, folder, link=link, progress=progress) for folder in folders]
    for one in done:
        click.echo(f"{one.delivery_id}  {one.site}/{one.feed}  sequence {one.sequence}  {one.files} file(s)  {bytes_text(one.bytes)}")


@cli.command()
@click.option("--site", help="Land only deliveries of this site.")
@click.option("--full", is_flag=True, help="Rebuild every table, whatever changed.")
@click.option("--json", "as_json", is_flag=True, help="The summary for programs.")
@click.pass_obj
def run(settings: Settings, site: str | None, full: bool, as_json: bool) -> None:
    r"""Land what is in the inbox, rebuild what that changes, publish. The same Dagster job as in `make ui`.

    \b
    Exit code 0: done, or nothing to do. 1: something failed; all else was done. 75: another run is working.
    """
    from orchestration.commands.run import run as work
    from orchestration.commands.run_report import as_dict, as_text
    from orchestration.commands.show import progress_of_steps

    with progress_of_steps("biodam run") as say:
        summary = work(settings, site=site, full=full, say=say)
    click.echo(json.dumps(as_dict(summary), indent=1) if as_json else as_text(summary))
    for problem in summary.problems:
        click.echo(f"biodam: {problem}", err=True)
    sys.exit(summary.code)


@cli.command()
@click.option("--site", help="Only this site.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def status(settings: Settings, site: str | None, as_json: bool) -> None:
    """What became of every record, by site and feed. Exit code 1 if any is unaccounted for."""
    from orchestration.commands.status import as_dict, as_text, read_accounts

    accounts = read_accounts(settings, site)
    click.echo(json.dumps(as_dict(settings, accounts), indent=1, ensure_ascii=False) if as_json else as_text(settings, accounts))
    sys.exit(0 if accounts.conserved else FAILED)


@cli.command()
@click.argument("query", required=False)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.pass_obj
def sql(settings: Settings, query: str | None, form: Any) -> None:
    r"""Read the published tables with SQL (DuckDB). Without QUERY: type statements, each ended by ';'.

    \b
    biodam sql "show tables"
    biodam sql "describe cohort_type2_diabetes"
    biodam sql "select table_name, column_name, description from biodam_columns"
    """
    from assets.lake.paths import Lake
    from assets.serving.query import run_query
    from orchestration.commands.audit import reads_of
    from orchestration.commands.repl import repl

    lake = Lake(settings.lake_root)
    note = reads_of(settings)
    if query is None:
        repl(lake, form, note)
    else:
        run_query(lake, query, sys.stdout, form=form, note=note)


@cli.group()
def quarantine() -> None:
    """What was not landed, and why."""


@quarantine.command("list")
@click.option("--site")
@click.option("--feed")
@click.option("--reason", help="A code of docs/QUARANTINE.md.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def quarantine_list(settings: Settings, site: str | None, feed: str | None, reason: str | None, limit: int, as_json: bool) -> None:
    """Records and files in quarantine, oldest first, each with file, record number, rule and reason."""
    from orchestration.commands.quarantine import list_text, read_entries

    entries, total = read_entries(settings, site=site, feed=feed, reason=reason, limit=limit)
    click.echo(json.dumps(entries, indent=1, ensure_ascii=False) if as_json else list_text(entries, total))


@quarantine.command("show")
@click.argument("which", metavar="ID|DELIVERY")
@click.pass_obj
def quarantine_show(settings: Settings, which: str) -> None:
    """One entry of the quarantine, or those of a delivery: what is wrong, what to do, where the bytes are."""
    from orchestration.commands.quarantine import show_text

    click.echo(show_text(settings, which))


@quarantine.command("replay")
@click.argument("which", metavar="[ID|DELIVERY]", required=False)
@click.option("--site")
@click.option("--feed")
@click.option("--reason", help="A code of docs/QUARANTINE.md.")
@click.pass_obj
def quarantine_replay(settings: Settings, which: str | None, site: str | None, feed: str | None, reason: str | None) -> None:
    """Parse what is in quarantine again, by today's rules, from the landing store. What they accept lands once; the rest stays."""
    from orchestration.commands.quarantine import replay, replay_text
    from orchestration.commands.show import progress_of_steps

    with progress_of_steps("biodam quarantine replay") as say:
        done = replay(settings, which, site=site, feed=feed, reason=reason, say=say)
    click.echo(replay_text(done))
    sys.exit(FAILED if any(r.problem for r in done) else 0)


@cli.group()
def vocabulary() -> None:
    """Standard vocabularies that you downloaded yourself."""


@vocabulary.command("load")
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.pass_obj
def vocabulary_load(settings: Settings, folder: Path) -> None:
    """Load an Athena export (CONCEPT.csv and the others, tab separated). Every table is rebuilt at the next run."""
    from orchestration.commands.show import progress_of_steps
    from orchestration.commands.vocabulary import load

    with progress_of_steps("biodam vocabulary load") as say:
        loaded = load(settings, folder, say)
    for name, rows in loaded.items():
        click.echo(f"{name}: {rows:,} rows")
    click.echo("Next: biodam run")


cli.add_command(consent)
cli.add_command(cohort)
cli.add_command(erase)
cli.add_command(receipt)
cli.add_command(explain_person)
cli.add_command(vault)
cli.add_command(identity)
cli.add_command(audit)
upkeep.add_to(cli)


@cli.command()
@click.pass_obj
def doctor(settings: Settings) -> None:
    """Look for what is set up wrongly: folders, free disk, keys, site files, the dbt project, locks. Exit code 1 if anything is."""
    from orchestration.commands.doctor import examine

    findings = examine(settings)
    for finding in findings:
        click.echo(finding.line)
    sys.exit(0 if all(f.good for f in findings) else FAILED)


@cli.command(hidden=True)
@click.option("--port", type=int, default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.pass_obj
def ui(settings: Settings, port: int, host: str) -> None:
    """Dagster's web page on this lake (`make ui`)."""
    from orchestration.commands.ui import serve

    serve(settings, host=host, port=port)


def main() -> None:
    """Entry point: every error becomes one line on stderr and an exit code."""
    debug = False
    collect_seldom()
    try:
        debug = read_settings().debug
        cli(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
    except Exception as error:  # the last stop before a user would see a traceback
        if debug:
            raise
        message, code = explain(error)
        click.echo(f"biodam: {message}", err=True)
        sys.exit(code)


if __name__ == "__main__":
    main()
