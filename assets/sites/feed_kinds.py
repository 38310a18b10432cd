"""The feeds a site may send: which wire format and which family each is.

Belongs here: facts that hold for a feed wherever it comes from. Does not belong here: what one site does differently (its file).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_OMOP_TABLES = (
    "attribute_definition cohort cohort_attribute cohort_definition concept_ancestor concept_class concept_synonym condition_era"
    " cost domain dose_era drug_era drug_strength episode episode_event fact_relationship metadata note note_nlp"
    " payer_plan_period relationship source_to_concept_map vocabulary"
)
"""Tables of OMOP CDM 5.3 and 5.4 that no model reads yet."""


@dataclass(frozen=True)
class FeedKind:
    """One kind of feed.

    Attributes:
        name: Feed name in paths and manifests.
        formats: File ending -> wire format (`assets/formats`).
        family: Contract and rules file.
        only_entity: The one table of a feed whose file names say nothing; `*` in `formats` stands for any ending.
        other_tables: Tables the standard knows and no contract does; they land in the entity `other`.
        named_by_record: Each record says which table it belongs to; the names of files say nothing.
        record_entity: Where one delivered record gives rows in several tables, the table (or tables) with one row for each record: records
            are counted there. None: each row is a delivered record.
    """

    name: str
    formats: Mapping[str, str]
    family: str
    only_entity: str | None = None
    other_tables: frozenset[str] = field(default_factory=frozenset)
    named_by_record: bool = False
    record_entity: str | tuple[str, ...] | None = None

    def holds_records(self, entity: str) -> bool:
        """Is a row of this table a delivered record?"""
        if self.record_entity is None:
            return True
        return entity in ((self.record_entity,) if isinstance(self.record_entity, str) else self.record_entity)


_TABLES = {
    **dict.fromkeys((".csv", ".txt", ".tsv"), "delimited"),
    **dict.fromkeys((".dat", ".asc", ".fwf"), "fixed_width"),
    **dict.fromkeys((".xlsx", ".xlsm"), "xlsx"),
    ".parquet": "parquet",
    ".sas7bdat": "sas7bdat",
    ".xpt": "xpt",
}
"""Formats of tables: whoever may send one of them may send all."""

_REGISTRY_RECORDS = ("event", "dictionary_item")

FEED_KINDS: Mapping[str, FeedKind] = {
    kind.name: kind
    for kind in (
        FeedKind("fhir_r4", {".ndjson": "fhir", ".json": "fhir"}, "fhir", named_by_record=True),
        FeedKind("synthea_csv", _TABLES, "synthea_csv"),
        FeedKind("omop", _TABLES, "omop", other_tables=frozenset(_OMOP_TABLES.split())),
        FeedKind("emr_csv", _TABLES, "emr_csv"),
        FeedKind("open_mhealth", dict.fromkeys((".json", ".ndjson", ".jsonl"), "open_mhealth"), "open_mhealth", "data_point"),
        FeedKind("dicom", {"*": "dicom"}, "dicom", "instance"),
        FeedKind("pedigree", dict.fromkeys((".ped", ".fam", ".psam", ".txt"), "ped"), "pedigree", "member"),
        FeedKind("consent", _TABLES, "consent"),
        FeedKind("lims", _TABLES, "lims"),
        FeedKind("biobank_participants", _TABLES, "biobank_participants"),
        FeedKind("claims_nhis", _TABLES, "claims_nhis"),
        FeedKind("claims_hira", _TABLES, "claims_hira"),
        FeedKind("death_registry", _TABLES, "death_registry"),
        FeedKind("area_code", _TABLES, "area_code"),
        FeedKind("air_quality", _TABLES, "air_quality"),
        FeedKind("public_statistics", _TABLES, "public_statistics"),
        FeedKind(
            "hl7_v2", dict.fromkeys((".hl7", ".txt", ".msg", ".mllp"), "hl7"), "hl7_v2", named_by_record=True, record_entity="message"
        ),
        FeedKind(
            "redcap", dict.fromkeys((".csv", ".txt", ".tsv"), "redcap"), "redcap", named_by_record=True, record_entity=_REGISTRY_RECORDS
        ),
        FeedKind(
            "cdisc_odm", dict.fromkeys((".xml", ".odm", ".csv"), "odm"), "cdisc_odm", named_by_record=True, record_entity=_REGISTRY_RECORDS
        ),
        FeedKind("ccda", dict.fromkeys((".xml", ".ccda", ".cda"), "ccda"), "ccda", named_by_record=True, record_entity="document_part"),
    )
}
