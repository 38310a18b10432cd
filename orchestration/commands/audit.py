"""`biodam audit`: who did what to the lake and who read it; whether that record was changed. And what `biodam sql` tells it.

Belongs here: names, options, what is printed. Does not belong here: the chain (`assets/ledger/audit`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from assets.lake.paths import Lake
from orchestration.errors import FAILED, UserError
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.ledger.audit import Audit, Mark
    from assets.serving.query import Reading


@click.group()
def audit() -> None:
    """Who did what to the lake and who read it; and whether that record was changed."""


@audit.command("list")
@click.option("--action", help="Only this, for example read, consent, vault, build, publish.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_(settings: Settings, action: str | None, limit: int, as_json: bool) -> None:
    """The newest rows, newest first."""
    from orchestration.commands.show import table

    rows = _taken_in(settings).newest(limit, action=action)
    if as_json:
        click.echo(json.dumps([{**e.__dict__, "detail": json.loads(e.detail)} for e in rows], indent=1, ensure_ascii=False))
        return
    cells = [[e.id, e.at, e.who, e.action, _short(json.loads(e.detail))] for e in rows]
    click.echo(table(["row", "at", "who", "what", "detail"], cells) if cells else "Nothing was recorded yet.")


@audit.command()
@click.option("--mark", "marks", multiple=True, metavar="ROW:HASH", help="A mark that was copied away; may be given again.")
@click.pass_obj
def verify(settings: Settings, marks: tuple[str, ...]) -> None:
    """Recompute the chain; compare it with its head, with the marks in Dagster's history and with those given. Exit code 1 if anything differs."""
    from assets.ledger.audit import parse_mark

    try:
        given = [parse_mark(text) for text in marks]
    except ValueError as error:
        raise UserError(str(error)) from error
    kept = _marks_in_dagster(settings)
    book = _book(settings)
    count, wrong = book.verify([*given, *kept])
    for line in wrong:
        click.echo(line)
    click.echo(
        f"{count:,} rows, {len(kept) + len(given)} marks from elsewhere: {'all as recorded' if not wrong else f'{len(wrong)} difference(s)'}"
    )
    click.echo(f"Mark of the newest row: {book.head()}\nKeep it where nobody who can write to the lake can.")
    sys.exit(FAILED if wrong else 0)


def reads_of(settings: Settings) -> Callable[[Reading], None]:
    """What tells the audit of a read. One that cannot be recorded anywhere is said to the reader; it is not refused.

    To refuse it would keep nobody from the data: who can open the catalogue can open it with any DuckDB.
    """
    book = _book(settings)
    spool = Lake(settings.lake_root).read_spool

    def note(reading: Reading) -> None:
        said: dict[str, Any] = {"tables": list(reading.tables), "statement_sha256": reading.statement_sha256, "rows": reading.rows}
        try:
            book.append("read", **said)
        except Exception:  # of the file system, SQLite or a server's driver: whatever it is, the other way is tried
            from assets.ledger.audit_spool import leave

            try:
                leave(spool, said)
            except OSError:
                click.echo(
                    "biodam: this read is not recorded: you may write neither to control/ nor to catalogue/reads/ (docs/OPERATIONS.md, Audit)",
                    err=True,
                )

    return note


def _book(settings: Settings) -> Audit:
    from assets.ledger.audit import Audit

    lake = Lake(settings.lake_root)
    return Audit(settings.control_url or lake.control_database, lake.audit_head)


def _taken_in(settings: Settings) -> Audit:
    from assets.ledger.audit_spool import take_in

    book = _book(settings)
    take_in(Lake(settings.lake_root).read_spool, book)
    return book


def _short(detail: dict[str, Any]) -> str:
    return ", ".join(f"{k} {_word(v)}" for k, v in detail.items())


def _word(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 40 else text[:12] + "…"


def _marks_in_dagster(settings: Settings) -> list[Mark]:
    """Marks that materialisations of `govern/deliveries` carry."""
    if not (settings.dagster_home / "dagster.yaml").exists():
        return []
    settings.export()
    settings.write_dagster_home()
    import dagster as dg

    from assets.governance.deliveries import AUDIT_MARK, DELIVERIES
    from assets.ledger.audit import START, parse_mark

    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_materializations(DELIVERIES, limit=1000).records
    found = [r.asset_materialization.metadata.get(AUDIT_MARK) for r in records if r.asset_materialization is not None]
    texts = {str(m.value) for m in found if m is not None}
    return [parse_mark(text) for text in sorted(texts) if text != str(START)]
