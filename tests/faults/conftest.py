"""Fault tests: a shim between process and libc, and a small hospital of which we know the outcome."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

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


def copy_lake(source: Path, target: Path) -> None:
    """A copy with the same times; a clone where the file system can.

    What cannot be taken away is an error: something still writes there, and `cp` would put the copy inside of what is left.
    """
    if target.exists():
        shutil.rmtree(target)
    assert not target.exists(), f"{target} came back while it was taken away"
    subprocess.run(["cp", "-aT", "--reflink=auto", str(source), str(target)], check=True)


class Built:
    """A lake with the first delivery built, and what it holds after the second, where nothing goes wrong. Made once for all processes.

    Every test gets it anew in the same place: a catalogue names its files by their full path. Its vault is kept, so that people and records have
    the same ids in all of them, and the tables of two tests can be compared by the hash of their rows.

    Attributes:
        first: Table -> hash of its rows after the first delivery; `second` after both.
        cpu_seconds: What the second run took.
    """

    def __init__(self, folder: Path, shared: Path, environment: dict[str, str]) -> None:
        self.biodam = Biodam(folder / "lake", environment)
        self._master, self._after = folder / "master", folder / "after"
        shared.mkdir(exist_ok=True)
        with FileLock(str(shared / "lock")):
            if not (shared / "built.json").exists():
                self._build()
                for place in (self._master, self._after):
                    copy_lake(place, shared / place.name)
                (shared / "built.json").write_text(json.dumps([self.first, self.second, self.cpu_seconds]))
        if not self._master.exists():
            self._move_in(shared)
        self.first, self.second, self.cpu_seconds = json.loads((shared / "built.json").read_text())
        assert self.first["measurement"] != self.second["measurement"]

    def _build(self) -> None:
        deliver_hospital(self.biodam.lake)
        self.biodam("run")
        copy_lake(self.biodam.lake, self._master)
        self.first = self.biodam.fingerprints()
        deliver_hospital(self.biodam.lake, sequence=2, hba1c=6.4)
        before = sum(os.times()[2:4])
        self.biodam("run")
        self.cpu_seconds = sum(os.times()[2:4]) - before
        copy_lake(self.biodam.lake, self._after)
        self.second = self.biodam.fingerprints()

    def _move_in(self, shared: Path) -> None:
        """What another process built; only its catalogue has to be made anew."""
        for place in (self._master, self._after):
            copy_lake(shared / place.name, self.biodam.lake)
            shutil.rmtree(self.biodam.lake / "catalogue")
            self.biodam("run")
            copy_lake(self.biodam.lake, place)

    def fresh(self, *, deliveries: int = 1) -> Biodam:
        """The lake after one or both deliveries."""
        copy_lake(self._master if deliveries == 1 else self._after, self.biodam.lake)
        return self.biodam

    def elsewhere(self, lake: Path) -> Biodam:
        """A copy after the first delivery in another place; its catalogue is not fit to be read before the next run."""
        copy_lake(self._master, lake)
        return Biodam(lake, self.biodam.environment)


@pytest.fixture(scope="session")
def built_once(hospital_sites: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared-hospital"
    return Built(tmp_path_factory.mktemp("built"), shared, {"BIODAM_SITES": str(hospital_sites), "BIODAM_AS_OF": "2024-01-01"})


@pytest.fixture
def built(built_once: Built) -> Biodam:
    """The hospital's lake after its first delivery."""
    return built_once.fresh()
