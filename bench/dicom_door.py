"""DICOM headers to scrubbed columns and to durable Delta: instances per CPU second, against a bare pydicom parse of the same headers.

The input is generated: CT instances of invented patients, one a file, about 60 attributes and 32 KiB of pixels, which nobody reads.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench.fhir_door import LAND
from bench.measure import machine, run

BARE = """
import sys
from pathlib import Path
import pydicom
for path in sorted(Path(sys.argv[1]).iterdir()):
    header = pydicom.dcmread(path, stop_before_pixels=True)
    for element in header:  # values are converted when they are asked for
        element.value
"""

COUNT = """
import sys
from pathlib import Path
from assets.formats.count import count_records
print(sum(count_records(path, "dicom").records for path in sorted(Path(sys.argv[1]).iterdir())))
"""

READ = """
import json, sys
from pathlib import Path
from assets.formats.child import main
from assets.landing.job import build_job, file_jobs
from assets.landing.manifest import read_manifest
from assets.sites.site import load_sites
folder, spool = Path(sys.argv[1]), Path(sys.argv[2])
feed = load_sites()["h07"].feeds["dicom"]
files = file_jobs(read_manifest(folder)[0], folder, feed, spool / "unpacked")
(spool / "JOB.json").write_text(json.dumps(build_job("dicom", files, feed, spool)))
sys.exit(main(str(spool / "JOB.json")))
"""

_ROOT = "1.2.826.0.1.3680043.8.498"
_TEXTS = (
    "Manufacturer", "InstitutionName", "StationName", "StudyDescription", "SeriesDescription", "ManufacturerModelName", "ProtocolName", "DeviceSerialNumber",
    "SoftwareVersions", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "InstitutionalDepartmentName", "RequestedProcedureDescription",
)  # fmt: skip
_NUMBERS = ("SliceThickness", "KVP", "DataCollectionDiameter", "ReconstructionDiameter", "DistanceSourceToDetector", "DistanceSourceToPatient", "GantryDetectorTilt",
            "TableHeight", "SliceLocation", "WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope", "PatientWeight", "PatientSize")  # fmt: skip


def write_instances(out: Path, count: int) -> int:
    """Write so many instances, 40 a series; returns their bytes."""
    size = 0
    for number in range(count):
        path = out / f"i{number:06}.dcm"
        _instance(number).save_as(path, enforce_file_format=True)
        size += path.stat().st_size
    return size


def _instance(number: int):  # noqa: ANN202 - pydicom has no types
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    series, patient = number // 40, number // 120
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, f"{_ROOT}.3.{number + 1}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{_ROOT}.1.{patient + 1}", f"{_ROOT}.2.{series + 1}"
    made.PatientID, made.PatientName, made.PatientBirthDate, made.PatientSex = (
        f"{patient:08}",
        "Hong^Gildong",
        "19500101",
        "MF"[patient % 2],
    )
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = "20240229"
    made.StudyTime = made.SeriesTime = "101500"
    made.Modality, made.BodyPartExamined, made.AccessionNumber, made.StudyID = "CT", "CHEST", f"A{patient:07}", str(patient)
    made.SeriesNumber, made.InstanceNumber, made.ImageType = series, number % 40 + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.ImagePositionPatient, made.ImageOrientationPatient, made.PixelSpacing = [0, 0, number % 40], [1, 0, 0, 0, 1, 0], [0.7, 0.7]
    for name in _TEXTS:
        setattr(made, name, f"{name} of the bench")
    for ordinal, name in enumerate(_NUMBERS):
        setattr(made, name, ordinal + 0.5)
    made.Rows = made.Columns = 128
    made.SamplesPerPixel, made.PhotometricInterpretation, made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = (
        1,
        "MONOCHROME2",
        16,
        12,
        11,
        0,
    )
    made.PixelData = bytes(128 * 128 * 2)
    return made


def main() -> None:
    """Print the cost of the bare parse, of counting, of reading to scrubbed columns, and of the whole door to durable Delta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="biodam-bench-") as folder:
        work = Path(folder)
        (work / "images").mkdir()
        size = write_instances(work / "images", options.instances)
        print(f"{options.instances:,} instances, {size / 1e6:.1f} MB")
        for _ in range(options.runs):
            _one(work, options.instances)


def _one(work: Path, count: int) -> None:
    from tests.conftest import write_delivery

    images, spool, lake = work / "images", work / "spool", work / "lake"
    spool.mkdir()
    delivery = write_delivery(lake, "h07", "dicom", "bench", {p.name: p.read_bytes() for p in sorted(images.iterdir())})
    bare = run([sys.executable, "-c", BARE, str(images)], log=work / "bare.log")
    counted = run([sys.executable, "-c", COUNT, str(images)], log=work / "count.log")
    read = run([sys.executable, "-c", READ, str(delivery), str(spool)], log=work / "read.log")
    shutil.rmtree(spool)
    door = run([sys.executable, "-c", LAND, str(lake)], log=work / "door.log")
    shutil.rmtree(lake)
    for name, cost in (("bare pydicom parse", bare), ("count", counted), ("read and scrub", read), ("door to durable Delta", door)):
        print(f"{name:22} {cost}   {count / cost.cpu_s:7,.0f} instances per CPU s   {bare.cpu_s / cost.cpu_s:4.0%} of the bare parse")
    print((work / "door.log").read_text().strip().splitlines()[-1])


if __name__ == "__main__":
    main()
