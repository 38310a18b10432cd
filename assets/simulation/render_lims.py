"""The biobank b11: its LIMS as seven CSV files, UTF-8.

Belongs here: rows as text. Does not belong here: which samples there are (`biobank`), what passes the door (`assets/privacy/rules/lims.toml`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from assets.simulation.biobank import BLOOD, DNA, PLASMA, SAMPLE_TYPES, WITHDRAWN, Biobank
from assets.simulation.chunk import Chunk, Rendered
from assets.simulation.errors import NUMBER
from assets.simulation.frame import Frame, Ints, spread, surrogate
from assets.simulation.kernels import choose, day_text, digits, either, hexadecimal, minute_text, number_text, render

SITE = "b11"
HEADERS: Mapping[str, str] = {
    "donor.csv": "donor_id,resident_number,donor_name,phone,birth_date,sex,province",
    "specimen.csv": (
        "specimen_id,donor_id,collection_id,sample_type,collected_at,received_at,amount_collected,amount_remaining,amount_unit,"
        "loss_tolerance_percent,container,storage_temperature,storage_position,custodian"
    ),
    "aliquot.csv": (
        "aliquot_id,parent_id,donor_id,sample_type,created_at,amount_initial,amount_remaining,amount_unit,amount_taken,amount_taken_unit,"
        "concentration,concentration_unit,container,storage_temperature,storage_position,custodian"
    ),
    "freeze_thaw.csv": "event_id,sample_id,donor_id,occurred_at,reason",
    "custody.csv": "event_id,sample_id,donor_id,from_holder,to_holder,occurred_at,reason,shipment_id",
    "usage.csv": "event_id,sample_id,donor_id,occurred_at,amount,amount_unit,purpose",
    "disposal.csv": "event_id,sample_id,donor_id,occurred_at,amount,amount_unit,method,reason",
}
_DONOR = "@donor@,@rrn@,@name@,@phone@,@birth@,@sex@,@province@\n"
_SPECIMEN = "@id@,@donor@,C-2015,@type@,@at@,@at@,@initial@,@left@,mL,,tube,2to10,@place@,b11\n"
_ALIQUOT = (
    "@id@,@parent@,@donor@,@type@,@at@,@initial@,@left@,@unit@,@taken@,@taken_unit@,@conc@,@conc_unit@,cryovial,-60to-85,@place@,b11\n"
)
_USED_IN = (("0.1", "mL"), ("100", "uL"))


def render_lims(chunk: Chunk, bank: Biobank) -> list[Rendered]:
    """All files of the biobank for one chunk."""
    thaw = _event(chunk, bank.thaw, "T", "@event@,@sample@,@donor@,@at@,assay\n")
    custody = _event(chunk, bank.custody, "H", "@event@,@sample@,@donor@,b11,u01,@at@,research,SH@day@\n")
    usage = _event(chunk, bank.usage, "U", "@event@,@sample@,@donor@,@at@,@amount@,@unit@,research\n")
    return [
        _donors(chunk, bank.donor),
        _specimens(chunk, bank.specimen),
        _aliquots(chunk, bank.aliquot),
        Rendered("freeze_thaw", "freeze_thaw.csv", bank.thaw, thaw),
        Rendered("custody", "custody.csv", bank.custody, custody),
        Rendered("usage", "usage.csv", bank.usage, usage),
        Rendered("disposal", "disposal.csv", bank.disposal, _disposals(chunk, bank.disposal)),
    ]


def donor_texts(chunk: Chunk, owner: Ints) -> pa.StringArray:
    """The biobank's own number of a donor."""
    return render("D@n@", n=digits(spread(chunk.people["person"][owner], digits=8, scope=SITE), 8))


def sample_texts(chunk: Chunk, ids: Ints, kind: str) -> pa.StringArray:
    """Barcodes; `kind` is S for specimens, A for aliquots."""
    return render(f"{kind}-@n@", n=hexadecimal(surrogate(ids, seed=chunk.seed, scope=f"b11/{kind}")))


def _donors(chunk: Chunk, frame: Frame) -> Rendered:
    owner = frame["owner"]
    names = chunk.names.take(pa.array(owner))
    ids = donor_texts(chunk, owner)
    lines = render(
        _DONOR,
        donor=ids,
        rrn=chunk.resident.take(pa.array(owner)),
        name=names["name"],
        phone=names["phone"],
        birth=day_text(chunk.people["birth"][owner]),
        sex=choose(("M", "F"), chunk.people["female"][owner]),
        province=names["province"],
    )
    return Rendered("donor", "donor.csv", frame, lines, ids)


def _specimens(chunk: Chunk, frame: Frame) -> Rendered:
    ids = sample_texts(chunk, frame["id"], "S")
    lines = render(
        _SPECIMEN,
        id=ids,
        donor=donor_texts(chunk, frame["owner"]),
        type=choose(SAMPLE_TYPES, frame["type"]),
        at=minute_text(frame["minute"], between=" "),
        initial=number_text(frame["initial"] / 1000, 3),
        left=number_text(frame["left"] / 1000, 3),
        place=render("R1-@n@", n=hexadecimal(frame["id"])),
    )
    return Rendered("specimen", "specimen.csv", frame, lines, ids)


def _aliquots(chunk: Chunk, frame: Frame) -> Rendered:
    """Plasma in microlitres and millilitres by turns; DNA is weighed, and its parent lost a millilitre."""
    ids = sample_texts(chunk, frame["id"], "A")
    dna, small = frame["type"] == DNA, (frame["type"] == PLASMA) & (frame["ordinal"] % 2 == 0)
    plain = dna | small
    orphan = frame["plant"] == NUMBER["lims_unknown_parent"]
    parent = sample_texts(chunk, frame["parent"] + np.where(orphan, 1 << 51, 0), "S")
    lines = render(
        _ALIQUOT,
        id=ids,
        parent=parent,
        donor=either(frame["plant"] == NUMBER["lims_missing_person"], "", donor_texts(chunk, frame["owner"])),
        type=choose(SAMPLE_TYPES, frame["type"]),
        at=either(frame["plant"] == NUMBER["lims_bad_date"], "2024-02-30 08:00", minute_text(frame["minute"], between=" ")),
        initial=number_text(np.where(plain, frame["initial"], frame["initial"] / 1000), 3),
        left=number_text(np.where(plain, frame["left"], frame["left"] / 1000), 3),
        unit=choose(("mL", "uL", "ug"), np.where(dna, 2, np.where(small, 1, 0))),
        taken=either(dna, "1", ""),
        taken_unit=either(dna, "mL", ""),
        conc=either(dna, "50", ""),
        conc_unit=either(dna, "ng/uL", ""),
        place=render("F@n@", n=hexadecimal(frame["place"])),
    )
    return Rendered("aliquot", "aliquot.csv", frame, lines, ids)


def _event(chunk: Chunk, frame: Frame, kind: str, template: str) -> pa.StringArray:
    """Lines about aliquots; amounts are written in one of two units."""
    way = frame["sample"] % 2
    columns = {
        "event": render(f"{kind}-@n@", n=hexadecimal(surrogate(frame["id"], seed=chunk.seed, scope=f"b11/{kind}"))),
        "sample": sample_texts(chunk, frame["sample"], "A"),
        "donor": donor_texts(chunk, frame["owner"]),
        "at": minute_text(frame["minute"], between=" "),
        "day": day_text(frame["minute"] // 1440),
        "amount": choose([amount for amount, _ in _USED_IN], way),
        "unit": choose([unit for _, unit in _USED_IN], way),
    }
    return render(template, **{name: text for name, text in columns.items() if f"@{name}@" in template})


def _disposals(chunk: Chunk, frame: Frame) -> pa.StringArray:
    specimen = sample_texts(chunk, frame["sample"], "S")
    return render(
        "@event@,@sample@,@donor@,@at@,,,incineration,@why@\n",
        event=render("X-@n@", n=hexadecimal(surrogate(frame["id"], seed=chunk.seed, scope="b11/X"))),
        sample=either(frame["of_specimen"].astype(np.bool_), specimen, sample_texts(chunk, frame["sample"], "A")),
        donor=donor_texts(chunk, frame["owner"]),
        at=minute_text(frame["minute"], between=" "),
        why=either(frame["why"] == WITHDRAWN, "withdrawal", "expired"),
    )


__all__ = ["BLOOD", "HEADERS", "SITE", "donor_texts", "render_lims", "sample_texts"]
