"""Images of h16: DICOM files with a full header, names in private elements and a few pixels.

Belongs here: files written by pydicom. Does not belong here: which instances there are (`devices`), what passes the door (`assets/privacy/rules/dicom.toml`).
Source: DICOM PS3.3, PS3.5, PS3.10.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundImageStorage,
)

from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.country import calendar_day
from assets.simulation.devices import BODY_PARTS, MODALITIES
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Frame, surrogate
from assets.simulation.identities import patient_keys, patient_texts

SITE = "h16"
_ROOT = "2.25."
"""UIDs made of a number (PS3.5 B.2)."""
_CLASSES = (ComputedRadiographyImageStorage, CTImageStorage, MRImageStorage, UltrasoundImageStorage)


def render_dicom(chunk: Chunk, frame: Frame) -> Iterator[Rendered]:
    """A file an instance."""
    if not len(frame):
        return
    patients = patient_texts(patient_keys(chunk.people, frame["owner"], 0 * frame["owner"]), seed=chunk.seed, site=SITE)
    numbers = {n: surrogate(frame[n], seed=chunk.seed, scope=f"h16/{n}") for n in ("id", "series", "study")}
    for row in range(len(frame)):
        one = frame.take(np.array([row]))
        uids = {n: f"{_ROOT}{int(numbers[n][row])}" for n in numbers}
        data = _instance(chunk, one, str(patients[row]), uids)
        again = "again-" if one["plant"][0] == NUMBER["image_again"] else ""
        yield Rendered("image", f"{again}IM{int(numbers['id'][row]):016x}.dcm", one, _part10(data, uids["id"]), patients.slice(row, 1))


def _instance(chunk: Chunk, one: Frame, patient: str, uids: dict[str, str]) -> Dataset:
    """The data set, damaged where the row says so."""
    owner, modality, plant = int(one["owner"][0]), int(one["modality"][0]), int(one["plant"][0])
    day = calendar_day(int(one["day"][0])).strftime("%Y%m%d")
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.SOPInstanceUID = _CLASSES[modality], uids["id"]
    data.StudyInstanceUID, data.SeriesInstanceUID = uids["study"], uids["series"]
    data.PatientName = str(chunk.names["roman"][owner]).replace(" ", "^")
    data.PatientID, data.OtherPatientIDs = patient, str(chunk.resident[owner])
    data.PatientBirthDate = calendar_day(int(chunk.people["birth"][owner])).strftime("%Y%m%d")
    data.PatientSex = "F" if chunk.people["female"][owner] else "M"
    data.StudyDate, data.SeriesDate = day, day
    data.Modality, data.BodyPartExamined = MODALITIES[modality], BODY_PARTS[int(one["part"][0])]
    data.InstitutionName, data.Manufacturer, data.ManufacturerModelName = "모의영상센터", "Biodam Imaging", "Model 1"
    data.BurnedInAnnotation = "YES" if plant == NUMBER["image_burned_in"] else "NO"
    data.InstanceNumber, data.Rows, data.Columns, data.BitsAllocated = str(int(one["instance"][0])), 2, 2, 8
    private = data.private_block(0x0011, "BIODAM SIMULATION", create=True)
    private.add_new(1, "LO", str(chunk.names["name"][owner]))
    data.PixelData = b"\x01\x02\x03\x04"
    data["PixelData"].VR = "OB"
    if plant == NUMBER["image_nobody"]:
        data.PatientID = ""
    elif plant == NUMBER["image_no_series"]:
        del data.SeriesInstanceUID
    elif plant == NUMBER["image_date"]:
        data.StudyDate = "20260230"
    return data


def _part10(data: Dataset, uid: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, uid  # type: ignore[assignment]
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta, data.preamble = meta, b"\0" * 128
    out = io.BytesIO()
    dcmwrite(out, data, enforce_file_format=True)
    return out.getvalue()
