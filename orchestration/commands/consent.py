"""`biodam consent`: a withdrawal handed in, one person's consent read, a project's request matched.

Belongs here: names, options, what is printed. Does not belong here: what consent means (dbt), the rule of lawful use
(`assets/governance/data_use`). A withdrawal is a delivery like any other, so that it is counted, ordered and carried out like any other.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
import uuid
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration.errors import UserError, unknown_site
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.landing.workspace import Workspace
    from assets.privacy.vault import PersonRef

DESK = "d01"
"""Site in whose name the participant desk hands in events, unless another is named."""
_HEADER = ("event_id", "person_key", "site_id", "patient_number", "event_type", "scope", "form", "effective_date")


@dataclass(frozen=True)
class Withdrawal:
    """What is handed in: scope or all, its day, and the desk that does."""

    scope: str
    day: date
    desk: str


NUMBER_HELP = (
    "The site's own number of the person. Write -: it is asked for, or read from standard input. On the command line the process list shows"
    " it and the shell's history keeps it."
)


def read_number(context: click.Context, parameter: click.Parameter, number: str | None) -> str | None:
    """What stands for `-`: asked for without echo at a terminal, else the first line of standard input.

    Raises:
        UserError: Standard input holds none.
    """
    del context, parameter
    if number != "-":
        return number
    return asked_number("Number of the person")


def asked_number(question: str) -> str:
    """A person's number from a terminal, without echo, or from the first line of standard input.

    Raises:
        UserError: It is empty.
    """
    number = click.prompt(question, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    if not number.strip():
        raise UserError("standard input holds no number of a person. Remedy: write it as the first line. Nothing was written")
    return str(number.strip())


@click.group()
def consent() -> None:
    """What people agreed to: hand in a withdrawal, read one person's consent, match a project's request."""


@consent.command()
@click.option("--person", type=int, help="person_id of the lake.")
@click.option("--site", help="Site that knows the person, with --number.")
@click.option("--number", callback=read_number, help=NUMBER_HELP)
@click.option("--scope", default="all", show_default=True, help="One scope, or all of them.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Day of the withdrawal, not later than today; default: today.")
@click.option("--desk", default=DESK, show_default=True, help="Consent service in whose name it is handed in.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def withdraw(settings: Settings, /, scope: str, day: datetime | None, desk: str, yes: bool, **named: Any) -> None:
    """Hand in a person's withdrawal. From the next `biodam run` the person is in no model built on people in that scope."""
    workspace = settings.workspace()
    when = day.date() if day else settings.day
    _check(scope, when, settings.day)
    who = person_named(workspace, named["person"], named["site"], named["number"])
    spells = spells_of(workspace, who) if workspace.commits.last_build() else []
    open_scopes = sorted({s["scope_code"] for s in spells if s["in_force"] and scope in ("all", s["scope_code"])})
    if not open_scopes:
        click.echo(
            f"Nothing is in force for person {who.person_id} in scope {scope}. The withdrawal is handed in all the same: it also ends what may come late"
        )
    if not yes:
        click.confirm(f"Withdraw person {who.person_id} from {', '.join(open_scopes) or scope} as of {when}?", abort=True)
    delivered = _hand_in(workspace, who, Withdrawal(scope, when, desk), settings.day)
    workspace.audit.append("consent.withdraw", person_id=who.person_id, scope=scope, day=when.isoformat(), delivery=delivered)
    click.echo(f"{delivered}: the withdrawal of person {who.person_id} waits in the inbox\nNext: biodam run")


@consent.command()
@click.option("--person", type=int, help="person_id of the lake.")
@click.option("--site", help="Site that knows the person, with --number.")
@click.option("--number", callback=read_number, help=NUMBER_HELP)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def show(settings: Settings, person: int | None, site: str | None, number: str | None, as_json: bool) -> None:
    """One person's consent: every spell, what it permits, and whether it is in force."""
    from orchestration.commands.show import table

    workspace = settings.workspace()
    who = person_named(workspace, person, site, number)
    spells = spells_of(workspace, who)
    workspace.audit.append("consent.show", person_id=who.person_id)
    if as_json:
        click.echo(json.dumps({"person_id": who.person_id, "spells": spells}, indent=1, default=str))
        return
    click.echo(f"Person {who.person_id}, as of the last build")
    if not spells:
        click.echo("No grant of any scope was ever in force: the person is in no model built on consented people.")
        return
    names = (
        "scope_code",
        "in_force",
        "in_force_from",
        "in_force_to",
        "withdrawn_date",
        "permission_code",
        "modifier_codes",
        "only_site",
        "form_code",
    )
    click.echo(table([n.removesuffix("_code") for n in names], [[s[n] for n in names] for s in spells]))


@consent.command()
@click.option("--site", help="Only events of this sender.")
@click.option("--finding", help="Only this finding.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many events to show.")
@click.option("--json", "as_json", is_flag=True, help="For programs; all events.")
@click.pass_obj
def findings(settings: Settings, site: str | None, finding: str | None, limit: int, as_json: bool) -> None:
    """Consent events with which something is wrong: where each stands, how it counts all the same, what to do. As of the last build."""
    from dataclasses import asdict

    from assets.governance.consent_findings import FINDINGS, consent_findings
    from orchestration.commands.show import table

    if finding is not None and finding not in FINDINGS:
        raise UserError(f"there is no finding {finding!r}. Known: {', '.join(FINDINGS)}")
    workspace = settings.workspace()
    if site is not None and site not in workspace.sites:
        raise unknown_site(site, workspace.sites)
    found = consent_findings(workspace, day=settings.day, site=site, code=finding)
    if as_json:
        click.echo(json.dumps([asdict(f) for f in found], indent=1))
        return
    if not found:
        click.echo("Nothing is wrong with any consent event.")
        return
    click.echo(
        table(
            ["finding", "delivery", "table", "file", "record"],
            [[f.code, f"{f.site}/{f.delivery}", f.table, f.file, f.record] for f in found[:limit]],
        )
    )
    if len(found) > limit:
        click.echo(f"{limit:,} of {len(found):,} shown; --limit shows more")
    for code in dict.fromkeys(f.code for f in found[:limit]):
        meaning = FINDINGS[code]
        click.echo(f"\n{code}: the event {meaning.wrong}. How it counts: {meaning.counts}. Remedy: {meaning.remedy}")


@consent.command()
@click.argument("request", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def match(settings: Settings, request: Path, as_json: bool) -> None:
    r"""How many people a project may use, and what keeps the others out. REQUEST is a TOML file; counts of 1 to 4 are withheld.

    \b
    project = "P-2026-017"
    purposes = ["disease"]           # disease, biomedical, methods, ancestry, clinical_care
    disease = "KCD:E11"
    scopes = ["clinical", "genomic"]
    organisation = "not_for_profit"  # or for_profit
    has_ethics_approval = true       # also will_publish, will_collaborate, will_return_data, is_commercial ...
    """
    from assets.governance.data_request import RequestError, load_request
    from assets.governance.data_use import as_shown, count_lawful
    from orchestration.commands.show import table

    try:
        wanted = load_request(request, day=settings.day)
    except RequestError as error:
        raise UserError(str(error)) from error
    workspace = settings.workspace()
    with _consent_tables(workspace) as connection:
        cohort = as_shown(count_lawful(connection, wanted, history="consent_history", relation="consent_relation"))
    workspace.audit.append("consent.match", project=wanted.project, lawful=cohort["lawful"])
    if as_json:
        click.echo(json.dumps({"project": wanted.project, "day": wanted.day.isoformat(), **cohort}, indent=1))
        return
    click.echo(
        f"Project {wanted.project}, consent of {wanted.day}: {cohort['lawful']} of {cohort['people']} people permit the whole request"
    )
    click.echo(table(["scope", "people"], list(cohort["by_scope"].items())))
    if cohort["refusals"]:
        click.echo("\nKept out")
        click.echo(table(["scope", "reason", "people"], [[r["scope"], r["reason"], r["people"]] for r in cohort["refusals"]]))


def _check(scope: str, when: date, today: date) -> None:
    from assets.governance.data_request import SCOPES

    if scope not in ("all", *SCOPES):
        raise UserError(f"there is no scope {scope!r}. Write all or one of {', '.join(SCOPES)}. Nothing was written")
    if when > today:
        raise UserError(f"{when} lies ahead of {today}: a withdrawal counts at once. Remedy: leave out --day. Nothing was written")


def person_named(workspace: Workspace, person: int | None, site: str | None, number: str | None) -> PersonRef:
    """The person meant.

    Raises:
        UserError: Not named, named twice, or not known.
    """
    if (person is None) == (site is None) or (site is None) != (number is None):
        raise UserError("name the person by --person, or by --site and --number")
    if person is not None:
        found = workspace.vault.people_of([person]).get(person)
        if found is None:
            raise UserError(f"the vault knows no person {person}. Nothing was written")
        return found
    assert site is not None
    assert number is not None
    if site not in workspace.sites:
        raise UserError(f"there is no site {site!r}. Known sites: {', '.join(sorted(workspace.sites))}. Nothing was written")
    found = workspace.vault.find(site, number)
    if found is None:
        raise UserError(f"site {site} has never named anybody by that number. Remedy: check it at the site. Nothing was written")
    return found


def _consent_tables(workspace: Workspace) -> Any:
    """A connection with `consent_history` and `consent_relation` as the last build left them.

    Raises:
        UserError: Nothing was built yet.
    """
    from assets.lake.extensions import open_duckdb

    connection = open_duckdb()
    for name in ("consent_history", "consent_relation"):
        if (source := workspace.scan(f"standard/{name}")) is None:
            raise UserError("no consent was built yet. Remedy: biodam run")
        connection.execute(f"create view {name} as from {source}")
    return connection


def spells_of(workspace: Workspace, who: PersonRef) -> list[dict[str, Any]]:
    """Rows of the consent history of one person, with `in_force` as the last build saw it."""
    query = """
        select h.scope_code, r.person_id is not null as in_force, h.in_force_from, h.in_force_to, h.withdrawn_date, h.permission_code,
            h.disease_code, h.modifier_codes, h.only_site, h.form_code, h.form_version, h.signer_code
        from consent_history as h
        left join consent_relation as r
            on r.person_id = h.person_id and r.scope_code = h.scope_code and r.legal_basis = h.legal_basis
            and r.only_site is not distinct from h.only_site and current_day between h.in_force_from and h.in_force_to
            and h.withdrawn_date is null
        where h.person_bucket = $bucket and h.person_id = $person
        order by h.scope_code, h.only_site, h.in_force_from
    """
    last = workspace.commits.last_build()
    day = date.fromisoformat(last["as_of"]) if last else date.min
    with _consent_tables(workspace) as connection:
        cursor = connection.execute(
            query.replace("current_day", "$day::date"), {"bucket": who.bucket, "person": who.person_id, "day": day.isoformat()}
        )
        names = [c[0] for c in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _hand_in(workspace: Workspace, who: PersonRef, what: Withdrawal, today: date) -> str:
    """Write the withdrawal as a delivery of the participant desk.

    Raises:
        UserError: No site knows the person by a number, or the desk has no site file.
    """
    from orchestration.commands.deliver import Wish, deliver_files

    known = workspace.vault.local_number(who.person_id)
    if known is None:
        raise UserError(
            f"no site knows person {who.person_id} by a number of its own, so no event can name the person. Nothing was written"
        )
    event = uuid.uuid4().hex
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [_HEADER, (event, f"DESK-{event}", *known, "withdraw", what.scope, "", what.day.isoformat())]
    )
    with tempfile.TemporaryDirectory(prefix="biodam-desk-", dir=_private(workspace)) as folder:
        path = Path(folder) / "event.csv"
        path.write_text(text.getvalue(), encoding="utf-8")
        done = deliver_files(workspace, [(path, path.name)], Wish(what.desk, "consent"), day=today.isoformat())
    return f"{done.site}/{done.feed}/{done.delivery_id}"


def _private(workspace: Workspace) -> Path:
    """A folder of the lake where a file with an identifier may lie for a moment."""
    folder = workspace.lake.control / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
