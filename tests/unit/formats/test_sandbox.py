"""The parent of the parsing child: whatever kills the child, the parent lives, and what did the killing is named."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.formats import sandbox
from assets.formats.sandbox import ChildResult, ParserDefect, run_child


def _parquet(ids: list[str]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"person_id": ids, "year_of_birth": [1970] * len(ids), "gender_concept_id": [8507] * len(ids)}), out)
    return out.getvalue()


def _fhir(ids: list[str]) -> bytes:
    return "".join(f'{{"resourceType":"Patient","id":"{i}"}}\n' for i in ids).encode()


def _csv(ids: list[str]) -> bytes:
    return ("Id,BIRTHDATE\n" + "".join(f"{i},1970-01-01\n" for i in ids)).encode()


def _points(ids: list[str]) -> bytes:
    header = {
        "creation_date_time": "2026-03-01T00:00:00Z",
        "user_id": "u",
        "schema_id": {"namespace": "omh", "name": "step-count", "version": "1.0"},
    }
    points = [{"header": {"id": i, **header}, "body": {"step_count": 1}} for i in ids]
    return "".join(json.dumps(point) + "\n" for point in points).encode()


FORMATS: dict[str, tuple[str, str, Callable[[list[str]], bytes]]] = {
    # wire format: family, file name, how a file is written
    "fhir": ("fhir", "Patient.ndjson", _fhir),
    "delimited": ("synthea_csv", "patients.csv", _csv),
    "open_mhealth": ("open_mhealth", "data_point.ndjson", _points),
    "parquet": ("omop", "person.parquet", _parquet),
}
IDS = ["a1", "a2", "poison", "a4", "a5"]


def _run(jobs: Any, wire: str, hook: str, ids: list[str], **limits: float) -> tuple[ChildResult, list[tuple[int, int | None, str]]]:
    """Two files: one with what the hook waits for, one without."""
    family, name, write = FORMATS[wire]
    files = {name: write(ids), name.replace(".", ".2.", 1): write(["b1"])}
    result = run_child(jobs.make(wire, family, files, options={hook: "poison"}, limits=limits))
    return result, [(r.file, r.row_number, r.reason) for r in result.rejected]


@pytest.mark.scenario("16 parser segfault, abort, hang")
@pytest.mark.parametrize("wire", FORMATS)
def test_a_record_that_kills_the_parser_is_quarantined_alone(jobs: Any, wire: str) -> None:
    result, rejected = _run(jobs, wire, "test_crash_on", IDS)
    assert rejected == [(0, 3, "parser_crash")]
    assert [(f.records, f.rejected, f.reason) for f in result.files] == [(4, 1, None), (1, 0, None)]
    assert result.deaths == 2, "once in the block, once in the record"
    assert set(result.causes) == {"signal 6"}


@pytest.mark.scenario("16 parser segfault, abort, hang")
def test_a_record_that_kills_the_making_of_columns_of_several_files_is_quarantined_alone(
    jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bundles of one patient are made columns of together: none of the other files may pay for the one that kills."""
    real = sandbox.subprocess.Popen
    script = (
        "import os, sys; from assets.formats import child, fhir_columns\n"
        "decode = fhir_columns._Batch.decode\n"
        "def deadly(self, key, joined, *more): os.abort() if b'poison' in joined else decode(self, key, joined, *more)\n"
        "fhir_columns._Batch.decode = deadly\n"
        "sys.exit(child.main(sys.argv[1]))"
    )
    monkeypatch.setattr(sandbox.subprocess, "Popen", lambda command, **options: real([command[0], "-c", script, command[-1]], **options))
    files = {f"{n}.ndjson": _fhir(ids) for n, ids in enumerate((["a1", "a2"], ["b1", "poison", "b3"], ["c1"]))}
    result = run_child(jobs.make("fhir", "fhir", files))
    assert [(r.file, r.row_number, r.reason) for r in result.rejected] == [(1, 2, "parser_crash")]
    assert [(f.records, f.rejected, f.reason) for f in result.files] == [(2, 0, None), (2, 1, None), (1, 0, None)]
    assert result.deaths == 3, "with all files pending, with the file alone, in the record"


@pytest.mark.scenario("16 parser segfault, abort, hang")
def test_a_record_on_which_the_parser_hangs_is_quarantined_alone(jobs: Any) -> None:
    result, rejected = _run(jobs, "delimited", "test_hang_on", IDS, stall_seconds=3.0)
    assert rejected == [(0, 3, "parser_timeout")]
    assert [f.records for f in result.files] == [4, 1]


@pytest.mark.scenario("16 parser segfault, abort, hang")
@pytest.mark.scenario("26 out of memory")
def test_a_record_that_eats_all_memory_is_quarantined_alone(jobs: Any) -> None:
    result, rejected = _run(jobs, "fhir", "test_memory_on", IDS, memory_bytes=600 * 2**20)
    assert rejected == [(0, 3, "parser_memory")]
    assert [f.records for f in result.files] == [4, 1]
    assert 100 * 2**20 < result.peak_bytes < 2**30


def test_memory_of_the_parent_is_not_counted_as_the_childs(jobs: Any) -> None:
    ballast = bytearray(os.urandom(2**20)) * 600
    result = run_child(jobs.make("fhir", "fhir", {"a.ndjson": _fhir(["a"])}))
    assert 0 < result.peak_bytes < len(ballast)


def test_a_file_of_many_such_records_is_given_up_and_the_other_lands(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_MOST_POISON", 2)
    result, rejected = _run(jobs, "fhir", "test_crash_on", ["poison"] * 5)
    assert rejected == []
    assert [(f.records, f.reason) for f in result.files] == [(0, "parser_crash"), (1, None)]


def test_a_defect_of_ours_is_raised_and_no_record_blamed(jobs: Any) -> None:
    job = jobs.make("delimited", "synthea_csv", {"patients.csv": _csv(["a"])})
    with pytest.raises(ParserDefect, match=r"before it opened a file, of ValueError at child\.py"):
        run_child({**job, "format": "morse"})


def test_the_child_gets_nothing_of_the_environment(jobs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BIODAM_SECRET", "x")
    seen: dict[str, Any] = {}
    real = sandbox.subprocess.Popen

    def watched(command: list[str], **options: Any) -> Any:
        seen.update(options["env"])
        return real(command, **options)

    monkeypatch.setattr(sandbox.subprocess, "Popen", watched)
    run_child(jobs.make("fhir", "fhir", {"a.ndjson": _fhir(["a"])}))
    assert seen.keys() == sandbox.ENVIRONMENT.keys()


@pytest.mark.scenario("29 disk full at any stage")
def test_a_full_disk_is_no_fault_of_a_record(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sandbox.subprocess.Popen

    def full(command: list[str], **options: Any) -> Any:
        script = (
            "import errno, sys; from assets.formats import child, spool\n"
            "def no_room(*_, **__): raise OSError(errno.ENOSPC, 'full')\n"
            "spool.Spool._write = no_room\n"
            "sys.exit(child.main(sys.argv[1]))"
        )
        return real([command[0], "-c", script, command[-1]], **options)

    monkeypatch.setattr(sandbox.subprocess, "Popen", full)
    with pytest.raises(OSError, match="No space left"):
        run_child(jobs.make("fhir", "fhir", {"a.ndjson": _fhir(["a"])}))


@pytest.mark.scenario("27 abort after success")
@pytest.mark.parametrize("end", ["os.abort()", "os._exit(3)", "os.kill(os.getpid(), 9)", "time.sleep(600)"])
def test_a_child_that_ends_badly_after_its_work_is_done_has_done_it(jobs: Any, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """A library that aborts while it is unloaded made every record of the file a suspect: read one by one, then given up."""
    real = sandbox.subprocess.Popen

    def unclean(command: list[str], **options: Any) -> Any:
        script = f"import os, sys, time\nfrom assets.formats import child\nassert child.main(sys.argv[1]) == 0\n{end}"
        return real([command[0], "-c", script, command[-1]], **options)

    monkeypatch.setattr(sandbox.subprocess, "Popen", unclean)
    result = run_child(jobs.make("fhir", "fhir", {"a.ndjson": _fhir(["a", "b"])}, limits={"stall_seconds": 2.0}))
    assert [(f.records, f.reason) for f in result.files] == [(2, None)]
    assert result.deaths == 0
