"""The command line as a stranger meets it: help, exit codes, one line for each mistake, never a traceback."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets.feeds.intake import take_in
from assets.landing.workspace import Workspace
from orchestration.cli import main
from tests.conftest import REPOSITORY, write_delivery

EMR = "등록번호\r\nP1\r\n".encode("cp949")


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class InProcess:
    """The command line without a process of its own: imports are paid for once, not for each of these tests."""

    lake: Path
    environment: Mapping[str, str]
    read: Callable[[], tuple[str, str]]

    def __call__(self, *arguments: str, check: bool = True) -> Said:
        """Run `biodam ...`."""
        kept = (sys.argv, dict(os.environ))
        sys.argv = ["biodam", *arguments]
        os.environ.update(self.environment, LAKE_ROOT=str(self.lake))
        self.read()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.argv = kept[0]
            os.environ.clear()
            os.environ.update(kept[1])
        out, error = self.read()
        assert isinstance(code, int)
        assert not check or code == 0, error
        return Said(code, out, error)


Make = Callable[[Mapping[str, str]], InProcess]


@pytest.fixture
def make(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.chdir(REPOSITORY)

    def read() -> tuple[str, str]:
        captured = capfd.readouterr()
        return captured.out, captured.err

    return lambda environment: InProcess(tmp_path / "lake", environment, read)


@pytest.fixture
def biodam(make: Make) -> InProcess:
    return make({"BIODAM_AS_OF": "2026-01-01"})


def _manifest(lake: Path, where: str) -> dict[str, object]:
    return dict(json.loads((lake / "inbox" / where / "manifest.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("simulate",),
        ("deliver",),
        ("run",),
        ("status",),
        ("sql",),
        ("quarantine", "list"),
        ("quarantine", "show"),
        ("vocabulary", "load"),
        ("vault",),
        ("vault", "status"),
        ("vault", "rotate"),
        ("doctor",),
    ],
)
def test_every_command_explains_itself(biodam: InProcess, command: tuple[str, ...]) -> None:
    done = biodam(*command, "--help")
    assert "Usage: " in done.stdout
    assert len(done.stdout) > 150
    assert not biodam.lake.exists(), "asking for help made a lake"


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (("deliver", "nowhere.csv", "--site", "h03", "--feed", "synthea_csv"), {}, 1, "nowhere.csv: there is no such file"),
        (("deliver", "README.md", "--site", "h77", "--feed", "omop"), {}, 1, "there is no site 'h77'. Known sites: "),
        (("deliver", "README.md", "--site", "h03", "--feed", "omop"), {}, 1, "site h03 sends no feed 'omop'. Its feeds: synthea_csv"),
        (("deliver", "README.md", "--site", "h03"), {}, 2, "give --site and --feed together"),
        (("deliver", "docs"), {}, 1, "no closed delivery there"),
        (("deliver", "README.md", "--site", "h03", "--feed", "synthea_csv", "--delivery-id", "a/b"), {}, 1, "is no delivery id"),
        (("deliver", "docs", "--site", "h03", "--feed", "synthea_csv", "--include", "*.csv"), {}, 1, "no file matches --include"),
        (("run", "--site", "h77"), {}, 1, "there is no site 'h77'"),
        (("status", "--site", "h77"), {}, 1, "there is no site 'h77'"),
        (("sql", "select 1"), {}, 1, "nothing is published yet"),
        (("quarantine", "list", "--reason", "ugly"), {}, 1, "there is no reason 'ugly'"),
        (("quarantine", "list", "--site", "h77"), {}, 1, "there is no site 'h77'. Known sites: "),
        (("quarantine", "list", "--feed", "fax"), {}, 1, "there is no feed 'fax'. Known feeds: fhir_r4, "),
        (("quarantine", "replay", "--site", "h77"), {}, 1, "there is no site 'h77'. Known sites: "),
        (("quarantine", "show", "9"), {}, 1, "there is no quarantine entry 9"),
        (("vocabulary", "load", "docs"), {}, 1, "CONCEPT.csv"),
        (("nonsense",), {}, 2, "No such command"),
        (("run",), {"BIODAM_AS_OF": "yesterday"}, 1, "BIODAM_AS_OF=yesterday is no day. Write YYYY-MM-DD"),
        (("run",), {"BIODAM_VAULT_KEYFILE": "x"}, 1, "Did you mean BIODAM_VAULT_KEY_FILE?"),
        (("run",), {"BIODAM_SITES": "no/such/folder"}, 1, "there is no such folder"),
        (("run",), {"BIODAM_CONTROL_URL": "control.db"}, 1, "is no SQLAlchemy URL"),
        (("status",), {"BIODAM_SITES": "{sites}"}, 1, "h50.toml, line 3, field legal_basis: 'maybe' is not allowed. Remedy: use one of consented, published"),
    ],
)  # fmt: skip
def test_mistake_is_answered_in_one_line(
    make: Make, tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], code: int, said: str
) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "h50.toml").write_text('site = "h50"\nkind = "hospital"\nlegal_basis = "maybe"\n', encoding="utf-8")
    biodam = make({k: v.format(sites=tmp_path / "sites") for k, v in environment.items()})
    done = biodam(*arguments, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1


def test_new_lake_is_quiet_and_conserved(biodam: InProcess) -> None:
    assert "Nothing to do" in biodam("run").stdout
    status = json.loads(biodam("status", "--json").stdout)
    assert status["conserved"] is True
    assert {f["site"] for f in status["feeds"]} >= {"h01", "h02", "h03", "h04"}
    assert all(f["deliveries"] == 0 and f["last_delivery"] is None for f in status["feeds"])
    assert "Nothing in quarantine" in biodam("quarantine", "list").stdout
    assert json.loads(biodam("quarantine", "list", "--json").stdout) == []


def test_idle_run_imports_nothing_heavy(biodam: InProcess) -> None:
    """An idle run costs 0.15 CPU s because of what it leaves alone; Dagster alone would be ten times that."""
    script = (
        "import sys; from orchestration.cli import main\n"
        "sys.argv = ['biodam', 'run']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'dagster', 'sqlalchemy', 'pyarrow', 'duckdb', 'deltalake', 'pandas', 'numpy', 'dbt'}\n"
        "sys.exit(','.join(sorted(heavy.intersection(sys.modules))) or 0)"
    )
    control = biodam.lake / "control"
    control.mkdir(parents=True)
    (biodam.lake / "catalogue").mkdir()
    (biodam.lake / "catalogue" / "biodam.duckdb").touch()
    quiet = (
        "from pathlib import Path; from datetime import date; from assets.quiet import default_sites_folder, mark_quiet\n"
        f"mark_quiet(Path({str(biodam.lake)!r}), default_sites_folder(), as_of=date(2026, 1, 1), next_consent_change=None)"
    )
    subprocess.run([sys.executable, "-c", quiet], check=True, cwd=REPOSITORY)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=False,
        env={"PATH": "/usr/bin:/bin", "LAKE_ROOT": str(biodam.lake), "BIODAM_AS_OF": "2026-01-01"},
    )  # fmt: skip
    assert "Nothing to do" in done.stdout, done.stderr
    assert (done.returncode, done.stderr) == (0, "")


def test_delivered_folder_is_whole_hashed_and_numbered(biodam: InProcess, tmp_path: Path) -> None:
    source = tmp_path / "extract"
    (source / "sub").mkdir(parents=True)
    files = {"patient.csv": EMR, "sub/Anna_Kim.csv": b"x\n", "empty.csv": b"", ".hidden": b"h"}
    for name, content in files.items():
        (source / name).write_bytes(content)
    said = biodam("deliver", str(source), "--site", "h12", "--feed", "emr_csv", "--delivery-id", "first", "--period", "2025-12").stdout
    assert said.split()[0] == "first"
    folder = biodam.lake / "inbox/h12/emr_csv/first"
    manifest = _manifest(biodam.lake, "h12/emr_csv/first")
    entries = {e["path"]: e for e in manifest["files"]}  # type: ignore[attr-defined]
    assert {n: (folder / n).read_bytes() for n in files} == files
    assert {n: (e["sha256"], e["bytes"]) for n, e in entries.items()} == {
        n: (hashlib.sha256(c).hexdigest(), len(c)) for n, c in files.items()
    }
    assert {k: manifest[k] for k in ("site", "feed", "delivery_id", "period", "sequence")} == {
        "site": "h12", "feed": "emr_csv", "delivery_id": "first", "period": "2025-12", "sequence": 1,
    }  # fmt: skip
    hashes = [e["sha256"] for e in manifest["files"]]  # type: ignore[attr-defined]
    assert hashes == sorted(hashes), "the order of files would tell the order of names"
    assert list((biodam.lake / "control" / "incoming").iterdir()) == []


def test_sequences_go_on_and_sources_may_change_afterwards(biodam: InProcess, tmp_path: Path) -> None:
    source = tmp_path / "patient.csv"
    source.write_bytes(EMR)
    names = []
    for _ in range(2):
        names.append(biodam("deliver", str(source), "--site", "h12", "--feed", "emr_csv").stdout.split()[0])
    assert names == ["20260101-0001", "20260101-0002"]
    assert [_manifest(biodam.lake, f"h12/emr_csv/{n}")["sequence"] for n in names] == [1, 2]
    source.write_bytes(b"altered")
    assert (biodam.lake / "inbox/h12/emr_csv" / names[0] / "patient.csv").read_bytes() == EMR
    taken = biodam("deliver", str(source), "--site", "h12", "--feed", "emr_csv", "--delivery-id", names[0], check=False)
    assert taken.returncode == 1
    assert "waits in the inbox already" in taken.stderr


def test_included_files_only(biodam: InProcess, tmp_path: Path) -> None:
    source = tmp_path / "extract"
    source.mkdir()
    for name in ("patient.csv", "README.md"):
        (source / name).write_bytes(EMR)
    biodam("deliver", str(source), "--site", "h12", "--feed", "emr_csv", "--delivery-id", "d", "--include", "*.csv")
    assert [e["path"] for e in _manifest(biodam.lake, "h12/emr_csv/d")["files"]] == ["patient.csv"]  # type: ignore[attr-defined]


def test_closed_deliveries_are_handed_on_byte_by_byte(biodam: InProcess, tmp_path: Path) -> None:
    done = biodam("simulate", "--people", "5", "--seed", "3", "--out", str(tmp_path / "country"))
    assert "5 people" in done.stdout
    source = tmp_path / "country" / "deliveries"
    biodam("deliver", str(source), "--link")
    sent = {str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*") if p.is_file()}
    got = {str(p.relative_to(biodam.lake / "inbox")): p.read_bytes() for p in (biodam.lake / "inbox").rglob("*") if p.is_file()}
    assert got == sent
    wrapped = biodam("deliver", str(next(source.glob("*/*/*"))), "--site", "h11", "--feed", "fhir_r4", check=False)
    assert "is a delivery already" in wrapped.stderr
    again = biodam("simulate", "--people", "5", "--seed", "3", "--out", str(tmp_path / "country"), check=False)
    assert again.returncode == 1
    assert len(again.stderr.strip().splitlines()) == 1


def test_doctor_names_what_is_wrong_and_makes_nothing(biodam: InProcess) -> None:
    biodam("doctor", check=False)
    assert not biodam.lake.exists()
    (biodam.lake / "vault").mkdir(parents=True)
    (biodam.lake / "vault" / "vault.db").touch()
    (biodam.lake / "inbox" / "h01").mkdir(parents=True)
    (biodam.lake / "inbox" / "h01" / "loose.csv").touch()
    (biodam.lake / "inbox" / "h02" / "fhir_r4" / "d1").mkdir(parents=True)
    done = biodam("doctor", check=False)
    assert done.returncode == 1
    assert "FAIL  vault: the vault is there, its key is not. Remedy: restore the key file" in done.stdout
    assert "1 file(s) lie outside a delivery" in done.stdout
    assert "h02/fhir_r4/d1 has no manifest.json" in done.stdout


def test_site_whose_file_is_gone_is_still_known_by_what_it_delivered(biodam: InProcess) -> None:
    workspace = Workspace(biodam.lake)
    write_delivery(biodam.lake, "h66", "fhir_r4", "d1", {"Patient.ndjson": "{}\n"})
    take_in(workspace)
    for command in (("list",), ("replay",)):
        assert "Nothing in quarantine" in biodam("quarantine", *command, "--site", "h66").stdout
