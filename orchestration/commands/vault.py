"""`biodam vault`: which keys the vault holds, and changing them.

Belongs here: names, options, what is printed. Does not belong here: the work (`assets/privacy/rotation`). No key is ever printed: a key
has an ident, 8 digits that say nothing of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration.errors import UserError
from orchestration.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from assets.landing.workspace import Workspace
    from assets.privacy.keys import KeyEncryptionKey


@click.group()
def vault() -> None:
    """The keys of the identity vault: which there are, and changing them. No person_id or record_id changes by it."""


@vault.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """The keys in the vault, under which key each is wrapped, and how many identifiers each seals. Needs no key."""
    from assets.privacy.rotation import key_states
    from orchestration.commands.show import table

    states = key_states(_engine(settings.workspace()))
    if as_json:
        click.echo(json.dumps([asdict(s) for s in states], indent=1))
        return
    click.echo(
        table(
            ["key", "version", "wrapped under", "made", "identifiers"],
            [[s.name, s.version, s.kek, s.made_at, s.identifiers] for s in states],
        )
        if states
        else "No key yet: the vault is new, or of an earlier release; the next run makes them."
    )


@vault.command()
@click.option(
    "--kek", type=click.Path(path_type=Path, dir_okay=False), metavar="NEWFILE", help="Change the key outside; a new file is made."
)
@click.pass_obj
def rotate(settings: Settings, kek: Path | None) -> None:
    """Change a key of the vault. Kill it and call it again: nothing is lost.

    With --kek: the keys in the vault are wrapped under the key in NEWFILE, no identifier is touched (by calendar, or when the operator
    changes); afterwards name NEWFILE in BIODAM_VAULT_KEY_FILE or put it in the old one's place. Without --kek: a new data key; every
    identifier is sealed with it and the old data key is destroyed. Where others may have seen the key file, do the first, then the second.
    """
    from assets.run_lock import hold_lake

    workspace = settings.workspace()
    with hold_lake(settings.lake_root, purpose="biodam vault rotate"):
        if kek is None:
            _seal_anew(workspace)
        else:
            _wrap_anew(workspace, kek)


def _seal_anew(workspace: Workspace) -> None:
    from assets.privacy.rotation import key_states, seal_anew
    from orchestration.commands.show import progress_of_count

    engine, key = _engine(workspace), _key(workspace)
    identifiers = sum(s.identifiers for s in key_states(engine))
    with progress_of_count("sealing anew", identifiers) as progress:
        done = seal_anew(engine, key, progress=lambda done: progress(done, identifiers))
    workspace.audit.append("vault.rotate", key=key.ident, data_key=done.version, identifiers=done.identifiers)
    went_on = " An earlier call had been stopped; this one finished it." if done.resumed else ""
    click.echo(f"{done.identifiers:,} identifiers are sealed with data key {done.version}; older data keys are destroyed.{went_on}")
    click.echo("Backups of the vault made before hold the old data key, wrapped: let them expire or destroy them.")


def _wrap_anew(workspace: Workspace, target: Path) -> None:
    from assets.privacy.keys import load_key
    from assets.privacy.rotation import wrap_anew

    engine, old = _engine(workspace), _key(workspace)
    new = load_key(target.expanduser().resolve(), create=True)
    changed = wrap_anew(engine, old, new)
    workspace.audit.append("vault.rotate_kek", key=new.ident, replaced=old.ident)
    click.echo(f"The vault opens with key {new.ident} ({target})" + (" only." if changed else " already: an earlier call had got as far."))
    click.echo(
        f"Next: copy {target} to where the key's backup is, then name it in BIODAM_VAULT_KEY_FILE or put it in the place of the old file."
        " Keep the old key as long as backups of the vault from before are kept."
    )


def _engine(workspace: Workspace) -> sa.Engine:
    from assets.privacy.vault_schema import open_engine

    if workspace.vault_url is None and not workspace.lake.vault_database.exists():
        raise UserError("this lake has no vault yet. Remedy: biodam run")
    return open_engine(workspace.vault_database)


def _key(workspace: Workspace) -> KeyEncryptionKey:
    from assets.privacy.keys import load_key

    return load_key(workspace.vault_key_place, create=False, text=workspace.vault_key)
