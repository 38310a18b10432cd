"""`biodam identity`: who is one person, decided by a data steward; the review queue of linkage.

Belongs here: names, options, what is printed. Does not belong here: what a merge or a split is (`assets/privacy/merges`, `review`), finding
candidates (`linkage`). Nothing printed is a value of a record, but for `review show --reveal`, which is recorded in the audit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from orchestration.errors import UserError
from orchestration.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from assets.landing.workspace import Workspace


@click.group()
def identity() -> None:
    """Who is one person: merge, split, undo, and the pairs that linkage is not sure of."""


@identity.command()
@click.argument("one", type=int)
@click.argument("other", type=int)
@click.pass_obj
def merge(settings: Settings, one: int, other: int) -> None:
    """Let two people be one, by their person_id. Two different resident numbers are two people."""
    from assets.privacy.review import merge_by_steward

    with _changing(settings, "identity.merge") as (connection, note):
        alias, person = merge_by_steward(connection, one, other)
        note(alias=alias, person_id=person)
    click.echo(f"Person {alias} stands for person {person} from the next `biodam run` on. To take it back: biodam identity split {alias}")


@identity.command()
@click.argument("alias", type=int)
@click.pass_obj
def split(settings: Settings, alias: int) -> None:
    """Take the merge of a person back: ALIAS stands for itself again, and nothing but a steward merges the two anew."""
    from assets.privacy.review import split_by_steward

    with _changing(settings, "identity.split") as (connection, note):
        person = split_by_steward(connection, alias)
        note(alias=alias, person_id=person)
    click.echo(f"Person {alias} is no longer person {person} from the next `biodam run` on; the pair is not proposed again.")


@identity.command()
@click.argument("event", type=int)
@click.pass_obj
def undo(settings: Settings, event: int) -> None:
    """Take one event of `biodam identity events` back: a merge is split, a split is merged again."""
    from assets.privacy.review import undo_event

    with _changing(settings, "identity.undo") as (connection, note):
        kind, alias, person = undo_event(connection, event)
        note(event=event, alias=alias, person_id=person)
    click.echo(f"{kind.capitalize()} {event} of person {alias} and person {person} is taken back. Next: biodam run")


@identity.command()
@click.option("--limit", type=int, default=20, show_default=True, help="How many of the newest.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def events(settings: Settings, limit: int, as_json: bool) -> None:
    """Merges and splits, newest last. `follow`: an alias that went along with another."""
    from assets.privacy.merges import newest_events
    from orchestration.commands.show import table

    with settings.workspace().vault.transaction() as (connection, _):
        found = newest_events(connection, limit)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    names = ("id", "kind", "alias_person_id", "person_id", "delivery", "at")
    click.echo(
        table(["event", "kind", "alias", "person", "because of", "at"], [[e[n] for n in names] for e in found]) if found else "None yet."
    )


@identity.group("review")
def review_queue() -> None:
    """Pairs that may be one person: surrogates, band of weight and levels of agreement; never values."""


@review_queue.command("list")
@click.option("--limit", type=int, default=50, show_default=True, help="How many of the oldest.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_open(settings: Settings, limit: int, as_json: bool) -> None:
    """Pairs that wait for an answer, oldest first."""
    from assets.privacy.likeness import count_left_out
    from assets.privacy.review import open_reviews
    from orchestration.commands.show import table

    with settings.workspace().vault.transaction() as (connection, _):
        waiting, left_out = open_reviews(connection), count_left_out(connection)
    if as_json:
        click.echo(json.dumps(waiting[:limit], indent=1))
        return
    for site, count in left_out.items():
        click.echo(f"{site} takes no part: its site file says [identity] link_by_likeness = false ({count:,} descriptions)")
    if not waiting:
        click.echo("No pair waits.")
        return
    fields = list(waiting[0]["levels"])
    rows = [
        [r["id"], r["left_person_id"], r["right_person_id"], r["band"], r["reason"], *(r["levels"].get(f, "") for f in fields)]
        for r in waiting
    ]
    click.echo(table(["pair", "person", "person", "weight", "why", *fields], rows[:limit]))
    click.echo(f"{len(waiting)} wait. Answer: biodam identity review accept|reject PAIR")


@review_queue.command()
@click.argument("pair", type=int)
@click.option("--reveal", is_flag=True, help="Show what the sites wrote. Recorded in the audit.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def show(settings: Settings, pair: int, reveal: bool, yes: bool) -> None:
    """One pair; with --reveal what each site that may be linked by likeness says of the two. For data stewards who may see it: it needs the vault's key."""
    from assets.privacy.demographic_store import demographics_of
    from assets.privacy.likeness import sites_left_out
    from assets.privacy.review import review
    from orchestration.commands.show import table

    workspace = settings.workspace()
    with _readable(), workspace.vault.transaction() as (connection, keys):
        row = review(connection, pair)
        click.echo(
            f"Pair {pair}: persons {row['left_person_id']} and {row['right_person_id']}, {row['state']}, {row['band']}, {row['reason']}"
        )
        levels = json.loads(row["levels"])
        click.echo(table(["field", "agreement"], [[f, level] for f, level in levels.items()]))
        if not reveal:
            return
        if not yes:
            click.confirm("This shows names, birth dates, telephones and addresses, and is recorded in the audit. Go on?", abort=True)
        people = [row["left_person_id"], row["right_person_id"]]
        workspace.audit.append("identity.reveal", pair=pair, people=people)
        out = sites_left_out(connection, workspace.links_by_likeness)
        for found in (one for one in demographics_of(connection, keys, people) if one.site not in out):
            d = found.demographics
            click.echo(f"{found.person_id} {found.site}: {d.name} {d.roman} {d.birth_date} {d.sex} {d.phone} {d.region} {d.address}")


@review_queue.command()
@click.argument("pair", type=int)
@click.pass_obj
def accept(settings: Settings, pair: int) -> None:
    """One person: merge the two. A pair of a site that may no longer be linked by likeness is refused, also before the next run."""
    from assets.privacy.likeness import apply_likeness
    from assets.privacy.review import accept as accept_pair

    may_link = settings.workspace().links_by_likeness
    with _changing(settings, "identity.review.accept") as (connection, note):
        apply_likeness(connection, may_link)
        alias, person = accept_pair(connection, pair)
        note(pair=pair, alias=alias, person_id=person)
    click.echo(f"Person {alias} stands for person {person}. Next: biodam run")


@review_queue.command()
@click.argument("pair", type=int)
@click.pass_obj
def reject(settings: Settings, pair: int) -> None:
    """Two people: never proposed again, and nothing but a steward joins them."""
    from assets.privacy.review import reject as reject_pair

    with _changing(settings, "identity.review.reject") as (connection, note):
        reject_pair(connection, pair)
        note(pair=pair)
    click.echo(f"Pair {pair} is rejected.")


@contextmanager
def _changing(settings: Settings, action: str) -> Iterator[tuple[sa.Connection, Callable[..., None]]]:
    """The vault in one transaction, then the audit, then the lake's relation of aliases."""
    from assets.landing.links import publish_links
    from assets.quiet import break_quiet
    from assets.run_lock import hold_lake

    noted: dict[str, Any] = {}
    workspace: Workspace = settings.workspace()
    with hold_lake(settings.lake_root, purpose=f"biodam {action.replace('.', ' ')}"):
        break_quiet(settings.lake_root)  # first: killed below, the next run carries the event on
        with _readable(), workspace.vault.transaction() as (connection, _):
            yield connection, lambda **values: noted.update(values)
        workspace.audit.append(action, **noted)
        publish_links(workspace)


@contextmanager
def _readable() -> Iterator[None]:
    """What a steward asked for that cannot be, in one sentence."""
    from assets.privacy.merges import CannotMerge, NotMerged
    from assets.privacy.review import NoSuchReview

    try:
        yield
    except (CannotMerge, NotMerged, NoSuchReview) as error:
        raise UserError(f"{error}. Nothing was changed") from error
