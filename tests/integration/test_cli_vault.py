"""`biodam vault` as an operator meets it: what is said, and that no key is ever shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assets.privacy.vault import Identifier, open_vault
from tests.integration.test_cli import InProcess, Make, biodam, make

__all__ = ["biodam", "make"]


def _new_vault(lake: Path) -> int:
    vault = open_vault(lake / "vault" / "vault.db", lake / "vault" / "key")
    return vault.resolve(site="h1", delivery="d1", groups=[(Identifier("local", "h1", "CHART-1"),)], locals_=()).people["CHART-1"].person_id


def test_keys_are_changed_and_the_person_stays(biodam: InProcess, make: Make, tmp_path: Path) -> None:
    person = _new_vault(biodam.lake)
    new = tmp_path / "elsewhere" / "key"
    said = [biodam("vault", "rotate"), biodam("vault", "rotate", "--kek", str(new)), biodam("vault", "rotate", "--kek", str(new))]
    assert "1 identifiers are sealed with data key 2" in said[0].stdout
    assert "already: an earlier call had got as far" in said[2].stdout
    states = json.loads(biodam("vault", "status", "--json").stdout)
    assert [(s["name"], s["version"], s["identifiers"]) for s in states] == [("root", 1, 0), ("seal", 2, 1)]
    found = open_vault(biodam.lake / "vault" / "vault.db", new).find("h1", "CHART-1")
    assert found is not None
    assert found.person_id == person

    refused = biodam("vault", "rotate", check=False)
    assert refused.returncode == 1
    assert "the key does not belong to this vault" in refused.stderr
    assert "FAIL  vault: the key is" in biodam("doctor", check=False).stdout
    with_text = make({"BIODAM_VAULT_KEY": new.read_text()})
    said += [refused, with_text("vault", "rotate"), with_text("vault", "status"), with_text("doctor", check=False)]
    assert "is this vault's" in said[-1].stdout
    shown = "".join(s.stdout + s.stderr for s in said)
    for key in (new.read_text(), (biodam.lake / "vault" / "key").read_text(), "CHART-1"):
        assert key not in shown


def test_lake_without_a_vault_has_nothing_to_rotate(biodam: InProcess) -> None:
    assert "this lake has no vault yet" in biodam("vault", "rotate", check=False).stderr
    assert not (biodam.lake / "vault").exists()


def test_dagster_is_given_the_name_of_the_variable_not_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from orchestration.build import _resources
    from orchestration.settings import read_settings

    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYzMyIQ=="
    monkeypatch.setenv("BIODAM_VAULT_KEY", secret)
    lake = _resources(read_settings({"LAKE_ROOT": str(tmp_path), "BIODAM_VAULT_KEY": secret}))["lake"]
    assert secret not in json.dumps(lake._convert_to_config_dictionary(), default=repr)
    assert lake.process_config_and_initialize().workspace().vault_key == secret
