"""Fault tests: a shim between process and libc, and a small hospital of which we know the outcome."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Biodam, write_delivery


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim; skipped where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: faults cannot be put between a process and libc")
    target = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(target), str(source), "-ldl"], check=True)
    return target


Mount = Callable[[str], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system of a size (`600k`, `40m`) or change it; skipped where mounting is not permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def mount(options: str) -> Path:
        nonlocal mounted
        how = f"remount,{options}" if mounted else options
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(folder)], capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip("mounting a small tmpfs is not permitted here")
        mounted = True
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


PEOPLE = 40


def deliver_hospital(lake: Path, *, sequence: int = 1, hba1c: float = 8.1) -> None:
    """A delivery of the site of `tests/integration/test_incremental.py` with 40 patients, and, first, their consent."""
    from tests.integration.test_incremental import _consents, _diagnoses, _labs, _patients

    everyone = range(1, PEOPLE + 1)
    files: dict[str, bytes | str] = {"lab_result.csv": _labs(range(1, 9), hba1c, mark=f"L{sequence}-")}
    if sequence == 1:
        files |= {"patient.csv": _patients(everyone), "diagnosis.csv": _diagnoses(everyone)}
        write_delivery(lake, "c90", "consent", "k1", {"event.csv": _consents(everyone)}, sequence=1)
    write_delivery(lake, "h90", "emr_csv", f"e{sequence}", files, sequence=sequence)


@pytest.fixture(scope="session")
def hospital_sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the two site files."""
    from tests.integration.test_incremental import _sites

    return _sites(tmp_path_factory.mktemp("hospital") / "sites")


@pytest.fixture
def hospital(hospital_sites: Path, tmp_path: Path) -> Biodam:
    """An empty lake for the hospital."""
    return Biodam(tmp_path / "lake", {"BIODAM_SITES": str(hospital_sites), "BIODAM_AS_OF": "2024-01-01"})
