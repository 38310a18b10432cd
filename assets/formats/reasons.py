"""Why a record, a file or a delivery was refused: the closed list.

Belongs here: codes, one sentence each, and what to do about it. Does not belong here: deciding (the parsers, the door).
`docs/QUARANTINE.md` is this list for readers; a test keeps the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """A reason code. Compares equal to its text, so it can be written to tables as it is.

    Attributes:
        level: What is refused: `record`, `file` (with all its records) or `delivery` (with all its files).
        sentence: What is wrong, without any value.
        remedy: What the sender or the data engineer does about it.
    """

    level: str
    sentence: str
    remedy: str

    def __new__(cls, code: str, level: str, sentence: str, remedy: str) -> Reason:
        """Make a member from its row below."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.level, member.sentence, member.remedy = level, sentence, remedy
        return member

    # --- any format, one record ---------------------------------------------------------------------------------------
    ENCODING = (
        "encoding", "record", "The bytes are not text in the declared encoding.",
        "Send the file in the encoding that the site file names, or correct `encoding` there.",
    )  # fmt: skip
    RECORD_TOO_LARGE = (
        "record_too_large", "record", "The record is longer than the limit for one record.",
        "Send attachments as links, or raise `record_bytes` if such records are right.",
    )  # fmt: skip
    MISSING_KEY = (
        "missing_key", "record", "The record has no identifier of its own.",
        "Every record needs its id; ask the sender to fill it.",
    )  # fmt: skip
    MISSING_PERSON = (
        "missing_person", "record", "The record names no person, and its table is about people.",
        "Ask the sender for the reference to the patient; a group, a device or a location is no person.",
    )  # fmt: skip
    MISSING_PARENT = (
        "missing_parent", "record", "The record takes its person from another record, which did not come in the same delivery.",
        "Send the lines of a claim in one delivery with its statement; `rule` names the field that points to it.",
    )  # fmt: skip
    ERASED_PERSON = (
        "erased_person", "record", "The record is about a person who was erased; nothing of them may land again.",
        "Nothing is to be done. Where it is about a sample, the holder has to destroy the sample.",
    )  # fmt: skip
    PERSON_WITHDRAWN = (
        "person_withdrawn", "record", "The record came after the person it is about had withdrawn; nothing about them may land until they consent again.",
        "Nothing is to be done: it lands by itself once the person consents again. The sender should learn that the person has withdrawn.",
    )  # fmt: skip
    MISSING_VALUE = (
        "missing_value", "record", "A field that the contract requires is empty.",
        "`rule` names the field; ask the sender to fill it.",
    )  # fmt: skip
    INVALID_TYPE = (
        "invalid_type", "record", "A field holds another type than the contract promises.",
        "`rule` names the field; a number must be a number, an object an object.",
    )  # fmt: skip
    INVALID_DATE = (
        "invalid_date", "record", "A date does not exist, or lies before 1850 or after 2300.",
        "`rule` names the field; correct the date at the source.",
    )  # fmt: skip
    VALUE_NOT_FINITE = (
        "value_not_finite", "record", "A number is NaN or infinite.",
        "Leave the field empty where there is no number.",
    )  # fmt: skip
    PARSER_CRASH = (
        "parser_crash", "record", "The parser died on this record (on the file, where no record is named).",
        "Report it with the delivery and record number: it is a defect in a parsing library. The other records landed.",
    )  # fmt: skip
    PARSER_TIMEOUT = (
        "parser_timeout", "record", "The parser did not finish this record (the file, where no record is named) in time.",
        "Report it with the delivery and record number. The other records landed.",
    )  # fmt: skip
    PARSER_MEMORY = (
        "parser_memory", "record", "The parser needed more memory than allowed for this record (the file, where no record is named).",
        "Split the record or the file, or raise `memory_bytes`.",
    )  # fmt: skip

    # --- JSON and FHIR, one record ------------------------------------------------------------------------------------
    INVALID_JSON = (
        "invalid_json", "record", "The line or bundle entry is not valid JSON (NaN and Infinity are not either).",
        "One complete JSON object a line; export again.",
    )  # fmt: skip
    TOO_DEEP = (
        "too_deep", "record", "The JSON or XML is nested deeper than the limit.",
        "No FHIR resource and no CDA document nests so deep; export again.",
    )  # fmt: skip
    DUPLICATE_JSON_KEY = (
        "duplicate_json_key", "record", "The same key stands twice in the resource, so its value is ambiguous.",
        "Correct the export; readers differ on which of the two counts.",
    )  # fmt: skip
    NOT_A_FHIR_RESOURCE = (
        "not_a_fhir_resource", "record", "The JSON is no FHIR resource: it has no resourceType.",
        "Usually a log line of the export; leave it out of the delivery.",
    )  # fmt: skip
    UNKNOWN_RESOURCE_TYPE = (
        "unknown_resource_type", "record", "The resourceType is not one of FHIR R4.",
        "Check the spelling and the FHIR version of the export.",
    )  # fmt: skip
    MODIFIER_EXTENSION = (
        "modifier_extension", "record", "The resource carries a modifierExtension, which may turn its meaning round.",
        "FHIR forbids reading it without understanding the extension; tell us what it means.",
    )  # fmt: skip
    IMPLICIT_RULES = (
        "implicit_rules", "record", "The resource names implicitRules, which may turn its meaning round.",
        "FHIR forbids reading it without knowing the rules; export without them, or tell us what they say.",
    )  # fmt: skip

    # --- Open mHealth, one data point ---------------------------------------------------------------------------------
    NOT_A_DATA_POINT = (
        "not_a_data_point", "record", "The JSON is no data point: it has no header or no body.",
        "Send each document as an Open mHealth data point, with header and body.",
    )  # fmt: skip
    UNKNOWN_SCHEMA = (
        "unknown_schema", "record", "The header names a schema or version that is not known, or one that is no measurement.",
        "docs/FORMATS.md lists the schemas that are read; correct `schema_id`, or ask us to add it.",
    )  # fmt: skip
    UNIT_NOT_ALLOWED = (
        "unit_not_allowed", "record", "A unit is not one that the schema allows for this quantity.",
        "`rule` names the field; send one of the schema's units, spelled as there.",
    )  # fmt: skip
    CODE_NOT_ALLOWED = (
        "code_not_allowed", "record", "A coded field holds none of the values that the schema allows.",
        "`rule` names the field; send one of the schema's values.",
    )  # fmt: skip
    INVALID_DATE_TIME = (
        "invalid_date_time", "record", "A time is not written as RFC 3339 asks, with date, time and offset, or does not exist.",
        "`rule` names the field; send for example 2026-03-01T09:00:00+09:00.",
    )  # fmt: skip
    INVALID_TIME_FRAME = (
        "invalid_time_frame", "record", "A time frame is neither one instant nor one interval of two bounds, or not the one the schema asks for.",
        "`rule` names it; an interval has two of start, end and duration.",
    )  # fmt: skip
    CONTRADICTION = (
        "contradiction", "record", "Fields that exclude each other stand in one document.",
        "`rule` names the object; leave out one of them.",
    )  # fmt: skip

    # --- delimited text, one record -----------------------------------------------------------------------------------
    RAGGED_ROW = (
        "ragged_row", "record", "The row has more or fewer fields than the header, or is shorter than the positions of its columns.",
        "Quote fields that contain the delimiter or a line break; do not cut the blanks at the end of a line of fixed width.",
    )  # fmt: skip
    UNCLOSED_QUOTE = (
        "unclosed_quote", "record", "A quoted field is not closed before a delimiter or the end of the row.",
        "Double the quotes inside quoted fields, and close each one.",
    )  # fmt: skip
    NUL_BYTE = (
        "nul_byte", "record", "The row contains a NUL byte.",
        "The file was damaged or is not text in the declared encoding; export again.",
    )  # fmt: skip

    # --- spreadsheets, one row ----------------------------------------------------------------------------------------
    CELL_ERROR = (
        "cell_error", "record", "A cell that is read holds an error of the spreadsheet, such as #REF! or #N/A.",
        "`rule` names the column; mend the formula, or write `cell_errors = \"null\"` in the site file if it means that there is no value.",
    )  # fmt: skip

    # --- HL7 v2, one message ------------------------------------------------------------------------------------------
    MISSING_HEADER = (
        "missing_header", "record", "Segments stand where no message has begun: the MSH segment is missing.",
        "Send each message with its MSH segment.",
    )  # fmt: skip
    BAD_SEPARATORS = (
        "bad_separators", "record", "MSH-1 and MSH-2 do not declare separators that differ from each other and from letters.",
        "Declare those the standard recommends, or other punctuation, each once.",
    )  # fmt: skip
    UNSUPPORTED_MESSAGE = (
        "unsupported_message", "record", "The message is of a kind that no table holds.",
        "docs/FORMATS.md lists the kinds that are read; leave the others out of the feed.",
    )  # fmt: skip
    TRUNCATED_MESSAGE = (
        "truncated_message", "record", "The message is framed (MLLP) and its end mark is missing.",
        "It was cut off in transfer; send it again.",
    )  # fmt: skip

    # --- CDISC ODM, one record ----------------------------------------------------------------------------------------
    UNCLEAR_TRANSACTION = (
        "unclear_transaction", "record", "The record has a transaction type that ODM does not know, or removes a form or group of unknown content.",
        "Use Insert, Update, Upsert, Remove or Context; name the items that are removed, or send the metadata that says what the form holds.",
    )  # fmt: skip

    # --- DICOM, one file is one record --------------------------------------------------------------------------------
    INVALID_DICOM = (
        "invalid_dicom", "record", "The DICOM header cannot be read: its elements do not follow each other as the transfer syntax says.",
        "Export the instance again from the archive.",
    )  # fmt: skip
    TRUNCATED_DICOM = (
        "truncated_dicom", "record", "The DICOM header ends in the middle of an element.",
        "The file was cut off in transfer; send it again.",
    )  # fmt: skip
    DICOM_DIRECTORY = (
        "dicom_directory", "record", "The file is the directory of a medium (DICOMDIR), not an instance.",
        "Nothing to do: the instances it lists are files of their own.",
    )  # fmt: skip

    # --- a whole file -------------------------------------------------------------------------------------------------
    EMPTY_FILE = (
        "empty_file", "file", "The file has no bytes.",
        "A table without rows still has a header; send the file again.",
    )  # fmt: skip
    UNKNOWN_FILE = (
        "unknown_file", "file", "The name or the ending of the file stands for no table of this feed.",
        "Rename it, map it in the site file under [files], or leave it out.",
    )  # fmt: skip
    HEADER_MISMATCH = (
        "header_mismatch", "file", "A column that the contract needs is not in the header, or stands there twice.",
        "`detail` lists what is missing and what is there; map the names in the site file.",
    )  # fmt: skip
    INVALID_DOCUMENT = (
        "invalid_document", "file", "The JSON or XML document is broken, so its entries cannot be told apart.",
        "Export the document again. Of FHIR, NDJSON would lose only the broken line.",
    )  # fmt: skip
    XML_DOCTYPE = (
        "xml_doctype", "file", "The XML document declares a DOCTYPE, which can name other files and entities without end.",
        "No CDA or ODM document needs one; export without it.",
    )  # fmt: skip
    NOT_A_CLINICAL_DOCUMENT = (
        "not_a_clinical_document", "file", "The root of the XML is not a CDA ClinicalDocument, so no header says whom it is about.",
        "Send whole documents, not sections or entries taken out of them.",
    )  # fmt: skip
    NOT_ODM = (
        "not_odm", "file", "The root of the XML is not an ODM element of version 1.2, 1.3 or 2.0.",
        "Export as CDISC ODM-XML; other XML does not belong into this feed.",
    )  # fmt: skip
    NO_DICTIONARY = (
        "no_dictionary", "file", "Nobody says what the items of the registry are, so none of them may pass.",
        "Send the data dictionary (ODM: the metadata) in the same delivery, or declare the items in the site file.",
    )  # fmt: skip
    NOT_DICOM = (
        "not_dicom", "file", "The file has no DICOM preamble and prefix, so nothing tells how to read it.",
        "Send DICOM Part 10 files, with preamble and file meta information; leave other files out.",
    )  # fmt: skip
    NOT_PARQUET = (
        "not_parquet", "file", "The file is no Parquet file, or its footer is damaged.",
        "Send the file again.",
    )  # fmt: skip
    NOT_XLSX = (
        "not_xlsx", "file", "The file is no XLSX workbook, or it is damaged, or protected by a password.",
        "`detail` says which; save it as .xlsx without a password and send it again.",
    )  # fmt: skip
    NOT_SAS = (
        "not_sas", "file", "The file is no SAS data set or transport file, or it is damaged, or holds several data sets.",
        "`detail` says which; export it again, one data set a file.",
    )  # fmt: skip
    NO_LAYOUT = (
        "no_layout", "file", "The site file does not say at which positions the columns of the file stand.",
        "Write them in the site file under [tables.<table>.positions], from the sender's record layout.",
    )  # fmt: skip
    NO_DATA = (
        "no_data", "file", "The sheet holds no data: the site file says so, or it is a chart.",
        "Nothing to do. If it does hold data, name its table in the site file under [sheets].",
    )  # fmt: skip
    UNKNOWN_SHEET = (
        "unknown_sheet", "file", "No rule says which table this sheet of a workbook is.",
        'Name it in the site file under [sheets]: `"<sheet>" = "<table>"`, or `"<sheet>" = "-"` if it holds no data.',
    )  # fmt: skip
    TRUNCATED_GZIP = (
        "truncated_gzip", "file", "The compressed file ends too early; nothing of it landed.",
        "Upload the file again, then the manifest.",
    )  # fmt: skip
    CORRUPT_GZIP = (
        "corrupt_gzip", "file", "The compressed file is damaged or no gzip file; nothing of it landed.",
        "Compress and upload the file again.",
    )  # fmt: skip
    ARCHIVE_BOMB = (
        "archive_bomb", "file", "The compressed file or the archive grows beyond the limit when unpacked.",
        "Send it uncompressed, or split it; raise `ratio` or `file_bytes` only for a sender you know.",
    )  # fmt: skip
    CORRUPT_ARCHIVE = (
        "corrupt_archive", "file", "The archive, or this member of it, is damaged, cut off, or packed in a way that is not read.",
        "Pack it again as ZIP or TAR and upload it again.",
    )  # fmt: skip
    UNSAFE_MEMBER = (
        "unsafe_member", "file", "A member of the archive has a name that leads out of it or holds control characters, or is a link or a device.",
        "Pack plain files with relative names. Nothing was written anywhere.",
    )  # fmt: skip
    AMBIGUOUS_MEMBER = (
        "ambiguous_member", "file", "Members of the archive have the same name, or names that differ only in the case of letters.",
        "Send each file once; nobody can tell which of them holds.",
    )  # fmt: skip
    MEMBER_NAME = (
        "member_name", "file", "The name of a member of the archive is not text in the declared encoding.",
        'Declare it in the site file, for example `archive_names = "cp949"` for archives packed in Windows.',
    )  # fmt: skip
    ENCRYPTED_MEMBER = (
        "encrypted_member", "file", "A member of the archive is protected by a password.",
        "Send archives without a password, over a channel that is encrypted itself.",
    )  # fmt: skip
    NESTED_ARCHIVE = (
        "nested_archive", "file", "The archive holds another archive.",
        "Pack the files once; nested archives are how bombs are built.",
    )  # fmt: skip
    JUNK_FILE = (
        "junk_file", "file", "An operating system added the file (__MACOSX, ._name, .DS_Store, Thumbs.db); it holds no data.",
        "Nothing to do; `zip -X` on macOS leaves them out.",
    )  # fmt: skip
    FILE_TOO_LARGE = (
        "file_too_large", "file", "The file is larger than the limit.",
        "Split the file, or raise `file_bytes`.",
    )  # fmt: skip
    UNREADABLE_FILE = (
        "unreadable_file", "file", "The file could not be read from disk.",
        "Check the disk and the permissions of the landing store, then replay.",
    )  # fmt: skip
    BATCH_COUNT_DIFFERS = (
        "batch_count_differs", "file", "A batch holds another number of messages than its trailer (BTS-1) says.",
        "Messages were lost or added on the way; send the file again.",
    )  # fmt: skip
    RECORD_COUNT_DIFFERS = (
        "record_count_differs", "file", "The parser and the independent counter saw different numbers of records.",
        "Report it: nothing of the file landed, because some records may have been lost.",
    )  # fmt: skip

    # --- a whole delivery ---------------------------------------------------------------------------------------------
    FHIR_VERSION = (
        "fhir_version", "delivery", "The resources are not FHIR R4 (4.0.1): their shape is that of another version.",
        "Export as R4; a feed carries one FHIR version.",
    )  # fmt: skip
    MANIFEST_INVALID = (
        "manifest_invalid", "delivery", "manifest.json cannot be read or misses a field.",
        "Write it as docs describe, last of all files.",
    )  # fmt: skip
    MANIFEST_PATH = (
        "manifest_path", "delivery", "Site, feed or delivery id in the manifest differ from the folder.",
        "Put the delivery where its manifest says.",
    )  # fmt: skip
    UNKNOWN_SITE = (
        "unknown_site", "delivery", "No site file has this name.",
        "Correct the name, or add a site file.",
    )  # fmt: skip
    UNKNOWN_FEED = (
        "unknown_feed", "delivery", "The site does not send this feed.",
        "Correct the name, or add the feed to the site file.",
    )  # fmt: skip
    DELIVERY_ID_REUSED = (
        "delivery_id_reused", "delivery", "The delivery id was used before with other content.",
        "Send it again under a new id.",
    )  # fmt: skip
    SEQUENCE_REUSED = (
        "sequence_reused", "delivery", "The sequence number belongs to another delivery of this feed.",
        "Number the deliveries of a feed once each.",
    )  # fmt: skip
    FILE_MISSING = (
        "file_missing", "delivery", "A file of the manifest is not in the folder.",
        "Upload all files before manifest.json.",
    )  # fmt: skip
    UNDECLARED_FILE = (
        "undeclared_file", "delivery", "The folder holds a file that the manifest does not name.",
        "Name every file with its hash.",
    )  # fmt: skip
    SIZE_MISMATCH = (
        "size_mismatch", "delivery", "A file has another size than the manifest says.",
        "It was cut off or altered in transfer; send it again.",
    )  # fmt: skip
    HASH_MISMATCH = (
        "hash_mismatch", "delivery", "A file has another SHA-256 than the manifest says.",
        "It was altered in transfer; send it again.",
    )  # fmt: skip
    COUNT_MISMATCH = (
        "count_mismatch", "delivery", "A file holds another number of records than the manifest says.",
        "Send the complete file, or correct `records`.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one row is refused.

    Attributes:
        reason: Code of the closed list.
        rule: Column or JSON path that was broken.
        detail: Neutral explanation for people.
    """

    reason: Reason
    rule: str | None = None
    detail: str | None = None


class FileRefused(Exception):
    """A whole file cannot be used. Carries no value of the data.

    Attributes:
        reason: Why.
        rule: The rule it broke, if it is narrower than the reason.
        detail: Neutral explanation for people.
    """

    def __init__(self, reason: Reason, detail: str = "", *, rule: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.rule = reason, detail, rule


class DeliveryRefused(Exception):
    """A whole delivery must not be read further. Carries no value of the data.

    Attributes:
        reason: Why.
        rule: The shape that shows it.
        detail: Neutral explanation for people.
        row_number: Record that shows it, 1-based within its file.
    """

    def __init__(self, reason: Reason, detail: str, *, rule: str, row_number: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.rule, self.row_number = reason, detail, rule, row_number


def as_markdown() -> str:
    """The list as the tables of `docs/QUARANTINE.md`, one table a level."""
    parts = []
    for level in ("record", "file", "delivery"):
        rows = [f"| `{r}` | {r.sentence} | {r.remedy} |" for r in Reason if r.level == level]
        parts.append("\n".join([f"## A {level}", "", "| reason | what is wrong | what to do |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"
