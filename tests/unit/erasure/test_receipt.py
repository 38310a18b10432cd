"""A receipt is checked from the files alone, by a script that shares nothing with Biodam; whatever is changed shows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.erasure.receipt import ReceiptError, check
from tests.conftest import REPOSITORY
from tests.faults.erasing import erase, resident

SCRIPT = REPOSITORY / "tools" / "check_receipt.py"


@pytest.fixture(scope="module")
def erased(landed_people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("erased") / "lake"
    shutil.copytree(landed_people, lake)
    erase(lake, 1)
    return lake


def _receipt(lake: Path) -> Path:
    (path,) = (lake / "control" / "receipts").glob("*.json")
    return path


def _script() -> dict[str, Any]:
    """The script's own names, in a module that is no part of the project."""
    names: dict[str, Any] = {"__name__": "check_receipt"}
    exec(compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec"), names)
    return names


def test_script_agrees_with_a_receipt_that_nobody_touched(erased: Path, tmp_path: Path) -> None:
    values = tmp_path / "values.txt"
    values.write_text(resident(1) + "\n")
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(erased), str(_receipt(erased)), "--values", str(values)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "the signature holds" in done.stdout


@pytest.mark.parametrize("shortest", [3, 6, 8, 13])
@pytest.mark.parametrize("at", [0, 1, 11, 16, 17, 27])
def test_script_finds_one_of_many_values_wherever_it_stands(shortest: int, at: int) -> None:
    """Also at both ends of a text and across the border of two stretches."""
    names = _script()
    names["_STRETCH"] = 16
    letters = bytes.maketrans(b"0123456789", b"abcdefghij")
    values = [f"{n:0{shortest}d}".encode().translate(letters) for n in range(100, 900)] + [b"700101-1%05d2" % n for n in range(800)]
    patterns = names["Patterns"](set(values))
    text = b"x" * 40
    assert not patterns.any_in(text)
    assert not patterns.any_in(b"")
    for value in (values[0], values[799], values[800], values[-1]):
        assert patterns.any_in(text[:at] + value + text[at + len(value) :])
        assert not patterns.any_in(text[:at] + value[:-1])


def test_script_imports_nothing_of_the_project() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert not any(word in text for word in ("import assets", "from assets", "import orchestration", "from orchestration"))


def _fewer_rows(lake: Path) -> None:
    whole = json.loads(_receipt(lake).read_text())
    whole["receipt"]["tables"]["raw/fhir/condition"]["rows"] -= 1
    _receipt(lake).write_text(json.dumps(whole))


def _file_came_back(lake: Path) -> None:
    table, paths = next(iter(json.loads(_receipt(lake).read_text())["receipt"]["files_removed"].items()))
    (lake / "tables" / table / paths[0]).write_bytes(b"PAR1")


def _other_key(lake: Path) -> None:
    for key in (lake / "vault" / "receipt.key", lake / "control" / "receipts" / "public.pem"):
        key.unlink()
    from assets.erasure import receipt
    from assets.lake.paths import Lake

    whole = _receipt(lake).read_bytes()
    receipt.write(Lake(lake), json.loads(whole)["receipt"])
    _receipt(lake).write_bytes(whole)


def _log_cut(lake: Path) -> None:
    fact = json.loads(_receipt(lake).read_text())["receipt"]["tables"]["raw/fhir/condition"]
    (lake / "tables" / "raw" / "fhir" / "condition" / "_delta_log" / f"{fact['version_after']:020d}.json").unlink()


def _value_left(lake: Path) -> None:
    (lake / "control" / "note").write_bytes(resident(1).encode("utf-16-be").hex().encode())


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_fewer_rows, ["the signature does not hold", "raw/fhir/condition: 4 rows went between versions"]),
        (_file_came_back, ["is still there", "cannot be read to its end"]),
        (_other_key, ["the signature does not hold"]),
        (_log_cut, ["raw/fhir/condition: its log cannot be followed"]),
        (_value_left, ["control/note: holds one of the values"]),
    ],
    ids=["a number was changed", "a removed file came back", "another key signed", "the commit is gone", "a value is left"],
)
def test_whatever_is_changed_shows(erased: Path, tmp_path: Path, harm: Callable[[Path], None], said: list[str]) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(erased, lake)
    harm(lake)
    wrong = _script()["check"](lake, _receipt(lake), lake / "control" / "receipts" / "public.pem", [resident(1)])
    assert len(wrong) == len(said)
    assert all(expected in line for expected, line in zip(said, wrong, strict=True)), wrong


def test_biodam_itself_refuses_a_receipt_that_was_changed(erased: Path, tmp_path: Path) -> None:
    copy, public = tmp_path / "r.json", erased / "control" / "receipts" / "public.pem"
    copy.write_text(_receipt(erased).read_text().replace('"person_ids": 1', '"person_ids": 2'))
    with pytest.raises(ReceiptError, match="was changed after it was signed"):
        check(copy, public)
    assert check(_receipt(erased), public)["person_ids"] == 1
