"""Consent at scale: what the consent relation costs, and what one withdrawal costs where more and more people stand beside it.

A hospital with a patient record and a diagnosis a person, and a consent service with five events a person; both generated, deleted after.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import biodam, machine

HOSPITAL = """site = "h90"
name = "Bench hospital"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
"""
SERVICE = """site = "c90"
name = "Bench consent service"
kind = "consent_service"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.consent]
"""
CONSENT = (
    "consent_relation", "consent_history", "consent_withdrawal", "int_consent_events__understood", "person_arm", "person_site",
    "gov_consent_events", "gov_consent_status", "gov_people_by_site",
)  # fmt: skip
EVENTS = (("grant", "clinical", "2020-01-01"), ("grant", "genomic", "2020-01-01"), ("withdraw", "genomic", "2021-05-01"),
          ("reconsent", "genomic", "2022-01-01"), ("change", "clinical", "2023-01-01"))  # fmt: skip


def write_files(folder: Path, people: int) -> None:
    """The hospital's and the service's files."""
    for site, text in (("h90", HOSPITAL), ("c90", SERVICE)):
        (folder / "sites").mkdir(exist_ok=True)
        (folder / "sites" / f"{site}.toml").write_text(text, encoding="utf-8")
    for part, lines in (
        ("emr/patient.csv", _patients(people)),
        ("emr/diagnosis.csv", _diagnoses(people)),
        ("consent/event.csv", _events(people)),
    ):
        path = folder / part
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            file.writelines(lines)


def _patients(people: int) -> Iterator[str]:
    yield "patient_number,birth_date,gender\n"
    yield from (f"P{n},19{n % 90 + 10}-01-{n % 28 + 1:02d},{'MF'[n % 2]}\n" for n in range(people))


def _diagnoses(people: int) -> Iterator[str]:
    yield "diagnosis_number,patient_number,diagnosis_code,diagnosis_date\n"
    yield from (f"D{n},P{n},E11.9,2023-06-{n % 28 + 1:02d}\n" for n in range(people))


def _events(people: int) -> Iterator[str]:
    yield "event_id,person_key,site_id,patient_number,event_type,scope,form,form_version,arm,effective_date\n"
    for n in range(people):
        yield from (f"E{n}.{k},K{n},h90,P{n},{kind},{scope},KR-34,1,patient,{day}\n" for k, (kind, scope, day) in enumerate(EVENTS))


def main() -> None:
    """Print the cost of the first build and of one withdrawal, by number of people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    options = parser.parse_args()
    print(machine())
    for people in options.people:
        with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
            work = (options.keep or Path(folder)) / str(people)
            work.mkdir(parents=True)
            _measure(work, people)


def _measure(work: Path, people: int) -> None:
    write_files(work, people)
    lake, log = work / "lake", work / "log.txt"

    def command(*arguments: str) -> str:
        return str(biodam(*arguments, lake=lake, log=log, environment={"BIODAM_SITES": str(work / "sites"), "BIODAM_AS_OF": "2026-01-01"}))

    print(f"{people:,} people, {people * len(EVENTS):,} consent events")
    command("deliver", str(work / "emr"), "--site", "h90", "--feed", "emr_csv", "--link")
    command("deliver", str(work / "consent"), "--site", "c90", "--feed", "consent", "--link")
    print(f"  first run        {command('run')}\n{_by_model(lake)}")
    for number in range(2):
        said = command("consent", "withdraw", "--site", "h90", "--number", f"P{people // 2 + number}", "--desk", "c90", "--yes")
        print(f"  hand in          {said}\n  run, one leaves  {command('run')}\n{_by_model(lake)}")


def _by_model(lake: Path) -> str:
    """CPU seconds of the models of consent, and of all, in the last build; rows they wrote."""
    entries = [json.loads(line) for line in (lake / "control" / "dbt_commits.jsonl").read_text(encoding="utf-8").splitlines() if line]
    last = [e for e in entries if e["run_id"] == entries[-1]["run_id"]]
    of_consent = sorted((e for e in last if e["model"] in CONSENT), key=lambda e: -e["cpu_s"])
    lines = [f"    {e['model']:32} {e['cpu_s']:8.2f} CPU s  {e['rows_written']:>10,} rows" for e in of_consent]
    dearest = sorted((e for e in last if e["model"] not in CONSENT), key=lambda e: -e["cpu_s"])[:5]
    others = ", ".join(f"{e['model']} {e['cpu_s']:.2f}" for e in dearest)
    return "\n".join([*lines, f"    {len(last)} models in all {sum(e['cpu_s'] for e in last):.2f} CPU s; dearest others: {others}"])


if __name__ == "__main__":
    main()
