"""C-CDA documents to scrubbed columns and to durable Delta: MB per CPU second, against a bare lxml parse of the same files.

The input is the whole documents of `../shared/data/03_ccda`, repeated up to the size asked for, each copy about other patients and with other document ids.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from bench.fhir_door import LAND
from bench.measure import machine, need_shared, run

BARE = """
import sys
from pathlib import Path
from lxml import etree
parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
for path in sorted(Path(sys.argv[1]).iterdir()):
    etree.fromstring(path.read_bytes(), parser)
"""

COUNT = """
import sys
from pathlib import Path
from assets.formats.count import count_records
print(sum(count_records(path, "ccda").records for path in sorted(Path(sys.argv[1]).iterdir())))
"""

PARSE = """
import json, sys
from pathlib import Path
sys.path.insert(0, str(Path.cwd()))
from bench.ccda_door import child_job
spool = Path(sys.argv[1])
(spool / "_job.json").write_text(json.dumps(child_job(Path(sys.argv[2]), spool)))
from assets.formats.child import main
sys.exit(main(str(spool / "_job.json")))
"""

_PATIENT = re.compile(rb"<patientRole.*?<patient>", re.S)
_EXTENSION = re.compile(rb'(extension\s*=\s*")')


def write_documents(source: Path, out: Path, target_bytes: int) -> tuple[int, int]:
    """Write copies of the documents; returns (documents, bytes)."""
    originals = [p.read_bytes() for p in sorted(source.rglob("*")) if p.suffix in (".xml", ".ccda")]
    originals = [data for data in originals if b"<ClinicalDocument" in data and b"<recordTarget" in data]
    documents = size = 0
    for copy in range(max(1, round(target_bytes / sum(map(len, originals))))):
        mark = b"\\g<1>%06d-" % copy
        for data in originals:
            changed = _PATIENT.sub(lambda m, mark=mark: _EXTENSION.sub(mark, m[0]), data, count=1)  # type: ignore[misc]
            (out / f"document_{documents:06}.xml").write_bytes(changed)
            documents, size = documents + 1, size + len(changed)
    return documents, size


def child_job(folder: Path, spool: Path) -> dict[str, object]:
    """The job landing would give to the parsing child."""
    from assets.landing.files import FileJob
    from assets.landing.job import build_job
    from assets.sites.site import load_sites

    paths = sorted(folder.iterdir())
    files = [FileJob(i, p, p.name, "", p.stat().st_size, None, None, "ccda", None) for i, p in enumerate(paths)]
    return build_job("ccda", files, load_sites()["h06"].feeds["ccda"], spool)


def main() -> None:
    """Print the cost of the bare parse, of counting, of parsing to scrubbed columns, and of the whole door to durable Delta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=75)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    source = need_shared() / "03_ccda"
    print(machine())
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
        work = Path(folder)
        (work / "documents").mkdir()
        documents, size = write_documents(source, work / "documents", int(options.megabytes * 1e6))
        print(f"{documents:,} documents, {size / 1e6:.1f} MB")
        for _ in range(options.runs):
            _one(work, size / 1e6)


def _one(work: Path, megabytes: float) -> None:
    from tests.conftest import write_delivery

    documents, spool, lake = work / "documents", work / "spool", work / "lake"
    spool.mkdir()
    bare = run([sys.executable, "-c", BARE, str(documents)], log=work / "bare.log")
    counted = run([sys.executable, "-c", COUNT, str(documents)], log=work / "count.log")
    parsed = run([sys.executable, "-c", PARSE, str(spool), str(documents)], log=work / "parse.log")
    shutil.rmtree(spool)
    write_delivery(lake, "h06", "ccda", "bench", {p.name: p.read_bytes() for p in sorted(documents.iterdir())})
    door = run([sys.executable, "-c", LAND, str(lake)], log=work / "door.log")
    shutil.rmtree(lake)
    for name, cost in (("bare lxml parse", bare), ("count", counted), ("parse and scrub", parsed), ("door to durable Delta", door)):
        print(f"{name:22} {cost}   {megabytes / cost.cpu_s:6.1f} MB per CPU s   {bare.cpu_s / cost.cpu_s:4.0%} of the bare parse")
    print((work / "door.log").read_text().strip().splitlines()[-1])


if __name__ == "__main__":
    main()
