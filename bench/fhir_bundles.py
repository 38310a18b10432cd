"""FHIR Bundles to validated, scrubbed, durable Delta, and the part of it that is reading: MB of bundle a CPU second.

The input is the Synthea R4 transaction bundles of `../shared/data/02_fhir_synthea_bundles` as they are (pretty-printed, `urn:uuid:` references),
repeated with new ids up to the size asked for; or the same on one line each (`--tight`), as servers send them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from bench.fhir_door import LAND, renumber
from bench.measure import Cost, machine, need_shared, run

READ = """
import json, sys
from pathlib import Path
from assets.formats.child import main
from assets.formats.count import count_records
from assets.landing.job import build_job, file_jobs
from assets.landing.manifest import read_manifest
from assets.sites.site import load_sites
folder, spool = Path(sys.argv[1]), Path(sys.argv[2])
feed = load_sites()["h01"].feeds["fhir_r4"]
files = file_jobs(read_manifest(folder)[0], folder, feed, spool / "unpacked")
if sys.argv[3] == "count":
    print(sum(count_records(f.path, "fhir", f.compression).records for f in files))
else:
    (spool / "JOB.json").write_text(json.dumps(build_job("fhir", files, feed, spool)))
    sys.exit(main(str(spool / "JOB.json")))
"""


def write_bundles(source: Path, out: Path, target_bytes: int, *, tight: bool) -> int:
    """Write bundles up to about the size asked for; returns their bytes."""
    texts = [p.read_text(encoding="utf-8") for p in sorted(source.glob("*.json"))]
    if tight:
        texts = [json.dumps(json.loads(t), separators=(",", ":"), ensure_ascii=False) for t in texts]
    size = copy = 0
    while size < target_bytes:
        for number, text in enumerate(texts):
            path = out / f"bundle.{copy:03d}{number:03d}.json"
            path.write_text(renumber(text, f"{copy:08x}"), encoding="utf-8")
            size += path.stat().st_size
        copy += 1
    return size


def main() -> None:
    """Print what landing, reading and counting cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=120)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--tight", action="store_true")
    options = parser.parse_args()
    source = need_shared() / "02_fhir_synthea_bundles"
    print(machine())
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
        work = Path(folder)
        (work / "bundles").mkdir()
        size = write_bundles(source, work / "bundles", int(options.megabytes * 1e6), tight=options.tight)
        print(f"{size / 1e6:.1f} MB in {len(list((work / 'bundles').iterdir()))} bundles")
        for number in range(options.runs):
            _measure(work, number, size)


def _measure(work: Path, number: int, size: int) -> None:
    from tests.conftest import write_delivery

    lake = work / f"lake{number}"
    delivery = write_delivery(lake, "h01", "fhir_r4", "bench", {p.name: p.read_bytes() for p in sorted((work / "bundles").iterdir())})
    for part in ("count", "read"):
        spool = work / f"spool-{part}-{number}"
        spool.mkdir()
        _say(part, run([sys.executable, "-c", READ, str(delivery), str(spool), part], log=work / "read.log"), size)
        shutil.rmtree(spool)
    _say("land", run([sys.executable, "-c", LAND, str(lake)], log=work / "land.log"), size)
    print((work / "land.log").read_text().strip().splitlines()[-1])
    shutil.rmtree(lake)


def _say(part: str, cost: Cost, size: int) -> None:
    print(f"{part:6}{cost}   {size / 1e6 / cost.cpu_s:6.1f} MB a CPU s")


if __name__ == "__main__":
    main()
