"""`biodam consent` where nothing may be written: every mistake is answered in one line, and the inbox stays empty."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.conftest import Small

pytestmark = pytest.mark.shares("small lake")

GOOD = 'project = "P-1"\npurposes = ["biomedical"]\nscopes = ["clinical"]\norganisation = "not_for_profit"\n'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--person", "12345"), "the vault knows no person 12345"),
        (("--site", "h90", "--number", "nobody"), "has never named anybody by that number"),
        (("--site", "h66", "--number", "p1"), "there is no site 'h66'. Known sites: h90"),
        (("--site", "h90"), "name the person by --person, or by --site and --number"),
        (("--site", "h90", "--number", "p1", "--scope", "dreams"), "there is no scope 'dreams'. Write all or one of clinical"),
        (("--site", "h90", "--number", "p1", "--day", "2030-01-01"), "lies ahead of 2026-01-01: a withdrawal counts at once"),
        (("--site", "h90", "--number", "p1"), "there is no site 'd01'"),
    ],
    ids=["unknown person", "unknown number", "unknown site", "half a name", "unknown scope", "a day ahead", "no desk"],
)
def test_a_withdrawal_that_cannot_be_carried_out_is_refused_in_one_line(small: Small, arguments: tuple[str, ...], said: str) -> None:
    done = small.biodam("consent", "withdraw", "--yes", *arguments, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list((small.biodam.lake / "inbox").rglob("event.csv"))


def test_people_of_published_sites_permit_every_project_and_few_of_them_are_not_told(small: Small, tmp_path: Path) -> None:
    request = tmp_path / "request.toml"
    request.write_text(GOOD, encoding="utf-8")
    assert json.loads(small.biodam("consent", "match", str(request), "--json").stdout) == {
        "project": "P-1", "day": "2026-01-01", "people": "7", "lawful": "7", "by_scope": {"clinical": "7"}, "refusals": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("purposes", "purpose"), "field purpose: is no field of a request. Remedy: did you mean 'purposes'?"),
        (('["biomedical"]', '["profit"]'), "field purposes: 'profit' is not known"),
        (('"P-1"', "1"), 'field project: is of another kind. Remedy: write project = "..."'),
        (('["biomedical"]', '["disease"]'), "field disease: and the purpose 'disease' go together"),
        (('project = "P-1"\n', ""), "field project: is missing"),
        (('"P-1"', '"P 1; drop"'), "field project: holds other characters"),
        (('organisation = "', 'organisation = '), "not valid TOML"),
    ],
    ids=["misspelt", "unknown purpose", "another kind", "no disease", "missing", "odd name", "no TOML"],
)  # fmt: skip
def test_a_request_that_does_not_hold_names_field_and_remedy(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    from datetime import date

    from assets.governance.data_request import RequestError, load_request

    path = tmp_path / "request.toml"
    path.write_text(GOOD.replace(*change, 1), encoding="utf-8")
    with pytest.raises(RequestError, match="Remedy") as caught:
        load_request(path, day=date(2026, 1, 1))
    assert said in str(caught.value)
