"""Pedigree files (PED, and the FAM and PSAM files of PLINK) -> Arrow.

Belongs here: what a line says of one member of a family. Does not belong here: reading lines (`fixed_width`), types (`values`), genotypes: what
stands behind the sixth field is not read, but for a column that a header line calls `proband`.

Source: PLINK 1.9, file format reference (.ped, .fam), PLINK 2 (.psam: the header line begins with `#`). Fields are parted by blanks or tabs: family,
member, father, mother, sex (1 male, 2 female), phenotype (1 unaffected, 2 affected; 0 and -9 unknown). A parent 0 is not known.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from assets.formats.fixed_width import FixedWidthReader, Table
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import Fault, Reason
from assets.formats.spool import Spool
from assets.formats.stream import Lines
from assets.formats.tabular import JOIN, TableReader

NAMES = ("family", "individual", "individual_key", "father_key", "mother_key", "sex", "phenotype", "proband", "numbers_of")
"""What the allow-list may name. A key is family and member: the same member number may stand in two families. `numbers_of` is the site whose
numbers they are, where it is not the sender."""
_LEAST = 6
_NOBODY = frozenset({"0", "-9", "."})
_SEX = {"1": "male", "m": "male", "male": "male", "2": "female", "f": "female", "female": "female"}
_AFFECTED = {"1": "unaffected", "2": "affected"}
_YES = {"1": "true", "y": "true", "yes": "true", "true": "true", "0": "false", "n": "false", "no": "false", "false": "false"}


class PedReader(FixedWidthReader):
    """Reads pedigree files into a spool. Lines that begin with `#` are the header, or remarks."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Read the options of the feed."""
        super().__init__(job, spool, progress)
        self._proband: int | None = None
        self._numbers_of = str(job.options.get("numbers_of") or "") or None

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        self._proband = None
        super().read(file)

    def _table(self, file: SourceFile) -> Table:
        return Table(file, TableReader(self._job, file, NAMES), {}, in_bytes=False, reach=0, length=None, may_be_short=True)

    def _lines_of(self, block: Lines) -> tuple[list[int], list[bytes]]:
        """As of any text, without lines of blanks and those that begin with `#`."""
        kept = []
        for place, line in zip(*super()._lines_of(block), strict=True):
            text = line.strip()
            if text.startswith(b"#"):
                self._read_header(text)
            elif text:
                kept.append((place, line))
        return [place for place, _ in kept], [line for _, line in kept]

    def _read_header(self, line: bytes) -> None:
        names = [name.strip(b"#").lower() for name in line.split()]
        if b"proband" in names[_LEAST:]:
            self._proband = names.index(b"proband", _LEAST)

    def _bad_lines(self, table: Table, lines: Sequence[bytes]) -> dict[int, Fault]:
        faults = super()._bad_lines(table, lines)
        for number, line in enumerate(lines):
            if number not in faults and (found := len(line.split(None, _LEAST)[:_LEAST])) < _LEAST:
                faults[number] = Fault(Reason.RAGGED_ROW, "columns", f"{found} fields, a pedigree line has {_LEAST}")
        return faults

    def _columns(self, table: Table, lines: Sequence[bytes], faults: dict[int, Fault]) -> dict[str, pa.Array]:
        rows = [{} if number in faults else self._said(line) for number, line in enumerate(lines)]
        return {name: pa.array([row.get(name) for row in rows], pa.string()) for name in table.reader.needed}

    def _said(self, line: bytes) -> dict[str, str | None]:
        """What a sound line says; sex, phenotype and proband in closed words, so that nothing else passes in their place."""
        fields = [field.decode(self._text_encoding) for field in line.split(None, max(_LEAST, (self._proband or 0) + 1))]
        family, member, father, mother, sex, phenotype = fields[:_LEAST]
        at = self._proband
        return {
            "family": None if family in _NOBODY else family,
            "individual": None if member in _NOBODY else member,
            "individual_key": _key(family, member),
            "father_key": _key(family, father),
            "mother_key": _key(family, mother),
            "sex": _SEX.get(sex.lower()),
            "phenotype": _AFFECTED.get(phenotype),
            "numbers_of": self._numbers_of,
            "proband": _YES.get(fields[at].lower()) if at is not None and at < len(fields) else None,
        }


def _key(family: str, member: str) -> str | None:
    return None if member in _NOBODY else f"{family}{JOIN}{member}"
