"""`biodam explain`: where one person is, under which consent, in which results, and who read: for the participant's own question.

Belongs here: names, options, plain words. Does not belong here: finding it (`assets/governance/explanation`). No identifier and no value of a
record is printed; the question itself is in the audit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from orchestration.commands.consent import NUMBER_HELP, read_number
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.governance.explanation import Explanation


@click.command()
@click.argument("person", type=int, required=False)
@click.option("--site", help="Site that knows the person, with --number.")
@click.option("--number", callback=read_number, help=NUMBER_HELP)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def explain(settings: Settings, person: int | None, site: str | None, number: str | None, as_json: bool) -> None:
    """Where PERSON (a person_id, or --site and --number) is in the lake, under which consent, in which results, and who may have read of them."""
    from assets.governance.explanation import explain as work
    from orchestration.commands.consent import person_named, spells_of

    workspace = settings.workspace()
    who = person_named(workspace, person, site, number)
    workspace.audit.append("explain", person_id=who.person_id)  # before: whoever sees the answer is on record
    spells = spells_of(workspace, who) if workspace.commits.last_build() else []
    found = work(workspace, who.person_id, who.bucket)
    if as_json:
        click.echo(json.dumps(_facts(found, spells), indent=1, default=str, ensure_ascii=False))
    else:
        click.echo("\n\n".join(_paragraphs(found, spells)))


def _facts(found: Explanation, spells: list[dict[str, Any]]) -> dict[str, Any]:
    places = [{"table": p.table, "rows": dict(p.rows), "published": p.is_published} for p in found.places]
    return {
        "person_id": found.person_id, "merged_ids": list(found.merged_ids), "sites": list(found.sites), "places": places, "consent": spells,
        "results": list(found.results), "reads": list(found.reads), "questions": list(found.questions), "builds": found.builds,
        "set_aside": found.set_aside or None, "held": found.held,
    }  # fmt: skip


def _paragraphs(found: Explanation, spells: list[dict[str, Any]]) -> list[str]:
    from orchestration.commands.show import table

    raw = [p for p in found.places if p.table.startswith("raw/")]
    made = [p for p in found.places if not p.table.startswith("raw/")]
    merged = f" {len(found.merged_ids)} other id(s) were merged into it." if found.merged_ids else ""
    said = [
        f"Person {found.person_id}. Known from: {', '.join(found.sites) or 'no site'}.{merged}",
        "What was delivered, and is stored whatever the consent, until it is erased:\n"
        + (table(["table", "site", "rows"], [[p.table, site, n] for p in raw for site, n in p.rows.items()]) if raw else "nothing."),
        "What was made of it under consent (published: analysts can read it):\n"
        + (table(["table", "rows", "published"], [[p.table, p.count, p.is_published] for p in made]) if made else "nothing."),
        "Consent:\n" + _consent(spells, is_shown=any(p.is_published for p in made)),
        "Results that hold this person:\n" + _results(found),
        "Who may have read of this person (statements that named a table in which the person is; plain DuckDB on the files is not on record):\n"
        + (table(["who", "table", "statements", "first", "last"], [list(r.values()) for r in found.reads]) if found.reads else "nobody."),
        "Who handed in or asked something about this person by name:\n"
        + (table(["at", "who", "what"], [list(q.values()) for q in found.questions]) if found.questions else "nobody before."),
        f"Tables were built {found.builds['count']} time(s), last {found.builds['last'] or 'never'}.",
    ]
    if found.held:
        said.append(
            f"{found.held} record(s) came after the person had withdrawn. They are in no table; they are read if the person consents again."
        )
    if found.set_aside:
        said.append(f"Builds leave this person out until a record is corrected. {found.set_aside}")
    return said


def _consent(spells: list[dict[str, Any]], *, is_shown: bool) -> str:
    from orchestration.commands.show import table

    if not spells:
        published = (
            "Records come from data that were published for research by their owner."
            if is_shown
            else "The person is in nothing made for research."
        )
        return f"no grant of any scope was ever in force. {published}"
    names = (
        "scope_code",
        "in_force",
        "in_force_from",
        "in_force_to",
        "withdrawn_date",
        "permission_code",
        "only_site",
        "form_code",
        "form_version",
        "signer_code",
    )
    return table([n.removesuffix("_code") for n in names], [[s[n] for n in names] for s in spells])


def _results(found: Explanation) -> str:
    from orchestration.commands.show import table

    if not found.results:
        return "none."
    return table(
        ["cohort", "issue", "frozen at", "project"], [[r["cohort"], r["issue"], r["at"][:16], r["project"] or ""] for r in found.results]
    )
