"""`biodam sql` without a query: statements typed one after the other. Does not belong here: running one (`assets/serving/query`)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from assets.lake.paths import Lake
from assets.serving.query import QueryError, Reading, run_query


def repl(lake: Lake, form: Any, note: Callable[[Reading], object]) -> None:
    """Read statements until the end of input or `.quit`; an error ends the statement, not the session."""
    asks = sys.stdin.isatty()
    if asks:
        click.echo("Read-only SQL on the published tables. `show tables;` lists them; `.quit` or Ctrl-D ends.")
    pending = ""
    while True:
        line = _line("...> " if pending else "sql> ") if asks else (sys.stdin.readline() or None)
        if line is None or (not pending and line.strip() in (".quit", ".exit", "quit", "exit")):
            break
        pending += line if line.endswith("\n") else line + "\n"
        if not pending.strip():
            pending = ""
        elif pending.rstrip().endswith(";"):
            _run(lake, pending.strip().removesuffix(";"), form, note)
            pending = ""
    if pending.strip():
        _run(lake, pending.strip(), form, note)


def _line(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        click.echo()
        return None


def _run(lake: Lake, query: str, form: Any, note: Callable[[Reading], object]) -> None:
    try:
        run_query(lake, query, sys.stdout, form=form, note=note)
    except QueryError as error:
        click.echo(f"biodam: {error}", err=True)
