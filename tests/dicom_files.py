"""Small DICOM files made by pydicom. `python -m tests.dicom_files` writes those of the golden cases anew."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.uid import MediaStorageDirectoryStorage as Directory

ROOT = "1.2.826.0.1.3680043.8.498."
PLANTED = {
    "PatientName": "KIM^GILDONG", "PatientBirthDate": "19800506", "PatientAddress": "Main St 1", "AccessionNumber": "ACC-777",
    "ReferringPhysicianName": "LEE^ANNA", "InstitutionName": "Seoul Clinic", "StationName": "ROOM9", "DeviceSerialNumber": "SN-4242",
    "StudyDescription": "Head of Gildong", "PatientComments": "called Anna", "OtherPatientIDs": "800506-1234567",
}  # fmt: skip
"""What must not leave the header, wherever it is put."""


def instance(**changes: Any) -> Dataset:
    """A sound CT image; keywords change attributes, None removes one."""
    data = Dataset()
    values = {
        **PLANTED, "SOPClassUID": CTImageStorage, "SOPInstanceUID": ROOT + "1", "StudyInstanceUID": ROOT + "2", "SeriesInstanceUID": ROOT + "3",
        "PatientID": "P-1", "Modality": "CT", "BodyPartExamined": "HEAD", "StudyDate": "20260301", "SeriesDate": "20260302", "Manufacturer": "Maker",
        "ManufacturerModelName": "Model 1", "Rows": 2, "Columns": 2, "SliceThickness": "1.25", "BurnedInAnnotation": "NO", "BitsAllocated": 8,
    }  # fmt: skip
    for keyword, value in (values | changes).items():
        if value is not None:
            setattr(data, keyword, value)
    block = data.private_block(0x0011, "MAKER PRIVATE", create=True)
    block.add_new(1, "LO", "KIM GILDONG")
    data.PixelData = b"\x01\x02\x03\x04"
    data["PixelData"].VR = "OB"
    return data


def part10(data: Dataset, syntax: str = ExplicitVRLittleEndian, storage: str = CTImageStorage) -> bytes:
    """The file of a data set."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = storage, data.get("SOPInstanceUID", ROOT + "1")
    meta.TransferSyntaxUID = syntax  # type: ignore[assignment]
    data.file_meta = meta
    data.preamble = b"\0" * 128
    out = io.BytesIO()
    dcmwrite(out, data, enforce_file_format=True)
    return out.getvalue()


CASES: Mapping[str, Callable[[], bytes]] = {
    "ct_with_names_planted_everywhere": lambda: part10(instance()),
    "implicit_little_endian": lambda: part10(instance(BurnedInAnnotation=None, SliceThickness=None), ImplicitVRLittleEndian),
    "big_endian": lambda: part10(instance(NumberOfFrames="3"), ExplicitVRBigEndian),
    "deflated": lambda: part10(instance(), DeflatedExplicitVRLittleEndian),
    "number_of_another_authority": lambda: part10(instance(IssuerOfPatientID="OTHER")),
    "dotted_dates_and_no_series_date": lambda: part10(instance(StudyDate="2026.03.01", SeriesDate=None, AcquisitionDate="20260303")),
    "date_that_does_not_exist": lambda: part10(instance(StudyDate="20260230")),
    "no_patient_number": lambda: part10(instance(PatientID="")),
    "no_series": lambda: part10(instance(SeriesInstanceUID=None)),
    "name_in_a_coded_element": lambda: part10(instance(Modality="Kim, Anna")),
    "private_class_names_its_maker": lambda: part10(instance(SOPClassUID=ROOT + "9.9")),
    "directory_of_a_medium": lambda: part10(Dataset(), storage=Directory),
    "cut_in_the_header": lambda: part10(instance())[:600],
    "without_preamble": lambda: part10(instance())[132:],
    "not_dicom_at_all": lambda: b"just a README\n" * 20,
    "no_bytes": lambda: b"",
}
"""Golden cases: name -> file. What each becomes stands in `tests/golden/formats/dicom/<name>/expected.json`."""

if __name__ == "__main__":
    for name, make in CASES.items():
        (Path(__file__).parent / "golden" / "formats" / "dicom" / name / "instance.dcm").write_bytes(make())
