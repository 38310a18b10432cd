"""`--number -`: a person's number by standard input, so that neither process list nor shell history has it."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from orchestration.commands.consent import read_number, show, withdraw
from orchestration.commands.explain import explain
from orchestration.errors import UserError


@click.command()
@click.option("--number", callback=read_number)
def _echo(number: str | None) -> None:
    click.echo(f"<{number}>")


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [(["--number", "-"], " 0012 \nrest\n", "<0012>\n"), (["--number", "77"], "0012\n", "<77>\n"), ([], "0012\n", "<None>\n")],
    ids=["first line", "on the command line", "not asked"],
)
def test_a_dash_reads_the_first_line(arguments: list[str], stdin: str, said: str) -> None:
    assert CliRunner().invoke(_echo, arguments, input=stdin).output == said


def test_empty_standard_input_is_refused() -> None:
    error = CliRunner().invoke(_echo, ["--number", "-"], input="").exception
    assert isinstance(error, UserError)
    assert "holds no number of a person" in str(error)


@pytest.mark.parametrize("command", [show, withdraw, explain], ids=lambda c: c.name)
def test_every_command_that_takes_a_number_takes_a_dash(command: click.Command) -> None:
    (option,) = [p for p in command.params if p.name == "number"]
    assert option.callback is read_number
    assert "Write -" in str(getattr(option, "help", ""))
