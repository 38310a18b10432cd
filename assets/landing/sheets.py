"""A workbook taken apart: each sheet is a file of its own, with its own table and its own accounts.

Belongs here: which sheet is which table, by the site file. Does not belong here: reading sheets (`assets/formats/xlsx`).
Every sheet keeps its number whatever the site file says of it, so that a replay after a change of the site file finds the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from assets.formats.count_xlsx import Sheet, list_sheets
from assets.landing.files import FileJob, SetAside
from assets.sites.site import NO_DATA, Feed, normal_name

_NOT_LISTED = SetAside(
    "not_xlsx",
    "the sheets of the workbook cannot be listed: it is damaged, protected by a password, or of the older format .xls",
    records=1,
)


def sheet_jobs(workbook: FileJob, feed: Feed, entity_of: Callable[[str], str | None]) -> list[FileJob]:
    """The sheets of a delivered workbook.

    Args:
        workbook: The delivered file; its `entity` is what its name stands for.
        feed: How the site sends it.
        entity_of: The entity a name stands for by itself.

    Returns:
        A file each, in the order of the workbook, or the workbook itself, set aside, where its sheets cannot be listed.
    """
    sheets = list_sheets(workbook.path)
    if not sheets:
        is_empty = workbook.path.is_file() and workbook.path.stat().st_size == 0
        return [replace(workbook, set_aside=SetAside("empty_file", "0 bytes") if is_empty else _NOT_LISTED)]
    jobs = []
    for number, sheet in enumerate(sheets, 1):
        entity, aside = _table_of(sheet, number, workbook.entity, feed.sheets, entity_of)
        ref = workbook.ref if len(sheets) == 1 else f"{workbook.ref}#{number}"
        jobs.append(replace(workbook, index=workbook.index + number - 1, ref=ref, entity=entity, sheet=sheet.name, set_aside=aside))
    return jobs


def _table_of(
    sheet: Sheet, number: int, of_file: str | None, named: Mapping[str, str], entity_of: Callable[[str], str | None]
) -> tuple[str | None, SetAside | None]:
    """(entity, why it is set aside): the site file speaks first, then the name of the sheet, then, for the first sheet, that of the file."""
    if sheet.part is None:
        return None, SetAside("no_data", f"sheet {number} holds no cells", records=0)
    name = normal_name(sheet.name)
    entity = named.get(name) or named.get(f"#{number}") or entity_of(name) or (of_file if number == 1 else None) or named.get("*")
    if entity == NO_DATA:
        return None, SetAside("no_data", f"the site file says that sheet {number} holds no data", records=0)
    return entity, None if entity else SetAside("unknown_sheet", f"sheet {number} of the workbook is not named in the site file")
