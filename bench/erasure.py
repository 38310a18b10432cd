"""Erasing people: CPU seconds of each part, and how many GB the byte scan reads a CPU second.

    nice .venv/bin/python -m bench.erasure --people 100000 --erased 1 1000

A lake of raw tables and landing store, made of FHIR lines (no models: what they cost is an ordinary build). Each number of people is erased from a
copy of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from assets.erasure import steps
from assets.erasure.scan import Found
from assets.erasure.search import Sought, search_all, sought_of
from assets.landing import door
from assets.landing.land import land
from assets.landing.workspace import Workspace
from assets.ledger.schema import DeliveryState
from assets.privacy import erased
from assets.run_lock import hold_lake

SITE = "h02"
FIRST = 1_000_000


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--people", type=int, default=100_000)
    arguments.add_argument("--conditions", type=int, default=20, help="Of each person.")
    arguments.add_argument("--erased", type=int, nargs="+", default=[1, 1000])
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="biodam-erasure-") as folder:
        master = Path(folder) / "master"
        _land(master, chosen.people, chosen.conditions)
        size = sum(p.stat().st_size for p in master.rglob("*") if p.is_file())
        print(f"{chosen.people:,} people, {chosen.people * (chosen.conditions + 1):,} records, lake of {size / 1e9:.2f} GB")
        for number in chosen.erased:
            lake = Path(folder) / "lake"
            shutil.copytree(master, lake)
            _erase(lake, number, chosen.people)
            shutil.rmtree(lake)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def _erase(lake: Path, number: int, people: int) -> None:
    workspace = Workspace(lake)
    step = people // number
    named = [workspace.vault.find(SITE, f"patient-{FIRST + n * step}") for n in range(number)]
    with hold_lake(lake, purpose="bench"):
        erasure = steps.begin(workspace, [ref.person_id for ref in named if ref is not None])
        subject = erased.unfinished(workspace.vault)[erasure]
        taken = _cpu(lambda: steps.before_build(workspace, erasure))
        sought: list[Sought] = []
        found: list[Found] = []
        building = _cpu(lambda: sought.append(sought_of(workspace, subject.ids)))
        scanned = _cpu(lambda: found.append(search_all(workspace, sought[0].everything)))
        whole = _cpu(lambda: steps.after_build(workspace, erasure, lambda _: None))
    gigabytes = found[0].bytes / 1e9
    print(
        f"{number:,} erased: landing store and raw tables {taken:.1f} CPU s; scan {building + scanned:.1f} CPU s for {gigabytes:.2f} GB as on disk:"
        f" {gigabytes / max(scanned, 0.001):.2f} GB a CPU s, {building:.1f} of them for the patterns; all steps after the build {whole:.1f} CPU s"
    )


def _land(lake: Path, people: int, conditions: int) -> None:
    folder = lake / "inbox" / SITE / "fhir_r4" / "d1"
    folder.mkdir(parents=True)
    with (folder / "Patient.ndjson").open("w") as file:
        for n in range(people):
            number = f"{n % 100:02d}0101-1{n:06d}"
            file.write(
                f'{{"resourceType":"Patient","id":"patient-{FIRST + n}","birthDate":"19{n % 100:02d}-01-01",'
                f'"name":[{{"text":"{_name(n)}"}},{{"text":"Hong {_latin(n)}"}}],"address":[{{"line":["{n % 97 + 1} Main Street, Flat {n}"]}}],'
                f'"telecom":[{{"value":"010-{n // 10_000:04d}-{n % 10_000:04d}"}}],"identifier":[{{"system":"urn:x:resident","value":"{number}"}}]}}\n'
            )
    with (folder / "Condition.ndjson").open("w") as file:
        for n in range(people):
            for i in range(conditions):
                file.write(
                    f'{{"resourceType":"Condition","id":"c{n}-{i}","subject":{{"reference":"Patient/patient-{FIRST + n}"}},'
                    f'"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"{44054006 + i}"}}]}},"recordedDate":"2020-01-{1 + i % 28:02d}"}}\n'
                )
    files = [
        {"path": p.name, "sha256": hashlib.sha256(p.read_bytes()).hexdigest(), "bytes": p.stat().st_size} for p in sorted(folder.iterdir())
    ]
    manifest = {"site": SITE, "feed": "fhir_r4", "delivery_id": "d1", "sequence": 1, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    workspace = Workspace(lake)
    for closed in door.closed_folders(workspace.lake.inbox):
        door.admit(workspace, closed)
    for key in workspace.deliveries.in_state(DeliveryState.ACCEPTED):
        land(workspace, key)


def _name(number: int) -> str:
    """A Hangul name of three syllables that nobody else has, among a million."""
    return "".join(chr(0xAC00 + 28 * (number // 100**place % 100)) for place in range(3))


def _latin(number: int) -> str:
    """The same in Latin letters."""
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(6))


def _cpu(work: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
