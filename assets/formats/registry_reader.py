"""What the readers of REDCap and CDISC ODM exports do alike: settings, every dictionary of the delivery first, then file by file into the spool.

Belongs here: that order, and that a refused file leaves no rows. Does not belong here: either format (`redcap`, `odm`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused
from assets.formats.registry_csv import CsvTables
from assets.formats.registry_items import Dictionary
from assets.formats.registry_rows import RowMaker
from assets.formats.registry_settings import read_settings
from assets.formats.registry_spool import RowSpool
from assets.formats.spool import Spool


class RegistryReader(ABC):
    """Reads the files of one delivery into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Read the settings of the site, and what files of the delivery declare; the site's own word on an item goes before theirs."""
        self._job, self._spool, self._progress, self._faults = job, spool, progress, Faults(job)
        self._settings = read_settings(job.options.get("registry") or {})
        self._tables, self._dictionary = CsvTables(job), Dictionary()
        self._declare([f for f in job.files if not self._faults.lost(f.index)])
        for item in self._settings.items:
            self._dictionary.override(item)
        self._maker = RowMaker(self._settings, self._dictionary, ZoneInfo(job.time_zone))
        self._target = RowSpool(job, spool)

    @abstractmethod
    def _declare(self, files: Sequence[SourceFile]) -> None:
        """Read what the sound files of a delivery say of its items."""

    @abstractmethod
    def _read(self, file: SourceFile) -> None:
        """Add the rows of one file to the spool.

        Raises:
            FileRefused: Nothing of it can be used.
        """

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        try:
            self._read(file)
            self._target.end_file(file.index)
        except FileRefused:
            self._target.drop_file()
            raise
