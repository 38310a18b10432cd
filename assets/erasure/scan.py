"""The byte scan: is anything of a person left below a folder?

Belongs here: reading every byte, also inside gzip, ZIP and Parquet, in one pass. Does not belong here: how a value may be written
(`forms`), whose values (`search`).

Values are looked for in one pass (Aho-Corasick). Identifiers of fewer than `SHORTEST` characters are not looked for: they would be found by chance.
"""

from __future__ import annotations

import copy
import gzip
import io
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ahocorasick_rs import BytesAhoCorasick

from assets.erasure.forms import PERSON_ID, RARE, Needle, forms, is_inside

SHORTEST = 6
_SURE_IN_PACKED = 8
"""Fewest bytes of a name or address in what is packed, as it lies there: three syllables in CP949 have six, which compressed bytes hold by chance. It is
looked for again where that is unpacked."""
_CHUNK = 8 << 20
_DEPTH = 4
"""Containers inside containers that are opened. A file that is packed deeper is reported as unreadable."""
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
GZIP, _ZIP, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"


class TooDeep(RuntimeError):
    """A file is packed in more containers than are opened."""


CANNOT_READ = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError, pa.ArrowException)
"""What a damaged, locked or too deeply packed file raises."""


@dataclass
class Found:
    """What a scan came to.

    Attributes:
        files, bytes: Read; bytes as they are on disk.
        hits: Relative path -> kind of value -> matches. No value.
        too_short: Values that were not looked for.
        unreadable: Relative paths that could not be read to their end.
    """

    files: int = 0
    bytes: int = 0
    hits: dict[str, Counter[str]] = field(default_factory=dict)
    too_short: int = 0
    unreadable: list[str] = field(default_factory=list)


class Scanner:
    """Looks for the same values in many files."""

    def __init__(self, needles: Iterable[Needle], numbers: Iterable[int] = ()) -> None:
        """Prepare.

        Args:
            needles: Texts.
            numbers: Person ids: looked for as decimal text, as eight bytes of either order, and in integer columns.
        """
        distinct = sorted(set(needles), key=lambda n: (n.kind, n.site, n.value, n.is_variant))
        long = [n for n in distinct if n.kind in RARE or len(n.value) >= SHORTEST]
        self.too_short = len(distinct) - len(long)
        self._numbers = pa.array(sorted(set(numbers)), pa.int64())
        self._patterns: list[bytes] = []
        self._of: list[Needle] = []
        self._written: list[str] = []
        self._left_out: frozenset[str] = frozenset()
        for needle in long:
            self._add_forms(needle)
        for number in self._numbers.to_pylist():
            needle = Needle(PERSON_ID, str(number))
            self._add_forms(needle)
            for order in _ORDERS:
                self._add(number.to_bytes(8, order), needle, "")
        self._automaton = BytesAhoCorasick(self._patterns) if self._patterns else None
        self._overlap = max(map(len, self._patterns), default=1) + len(rb"\uac00")

    def without(self, kinds: Collection[str]) -> Scanner:
        """The same scanner, blind to some kinds of value. It costs nothing: the patterns are shared."""
        other = copy.copy(self)
        other._left_out = frozenset(kinds)
        return other

    def scan_file(self, path: Path) -> Counter[Needle]:
        """Matches in one file, whatever it is packed in.

        Raises:
            OSError, zlib.error, zipfile.BadZipFile, pa.ArrowException, TooDeep: It cannot be read to its end (`CANNOT_READ`).
        """
        with path.open("rb") as file:
            return self._stream(file, _DEPTH)

    def scan_bytes(self, data: bytes) -> Counter[Needle]:
        """Matches in bytes that are whole."""
        return self._bytes(data)

    def positions(self, data: bytes) -> list[tuple[Needle, int]]:
        """Where in bytes that are whole something stands."""
        return [(self._of[which], at) for which, at, _ in self._matches(data)]

    def _matches(self, data: bytes, *, packed: bool = False) -> Iterator[tuple[int, int, int]]:
        """(number of the pattern, start, end) of every match that counts."""
        if self._automaton is None:
            return
        for which, start, end in self._automaton.find_matches_as_indexes(data, overlapping=True):
            needle = self._of[which]
            by_chance = packed and needle.kind in RARE and end - start < _SURE_IN_PACKED
            if not by_chance and needle.kind not in self._left_out and not is_inside(data, start, end, needle, self._written[which]):
                yield which, start, end

    def _add_forms(self, needle: Needle) -> None:
        for form, written in forms(needle.value, is_variant=needle.is_variant):
            self._add(form, needle, written)

    def _add(self, form: bytes, needle: Needle, written: str) -> None:
        self._patterns.append(form)
        self._of.append(needle)
        self._written.append(written)

    def _stream(self, file: BinaryIO, depth: int) -> Counter[Needle]:
        head = file.read(4)
        if depth == 0 and is_packed(head):
            raise TooDeep(f"packed in more than {_DEPTH} containers")
        file.seek(0)
        found = self._plain(file, packed=is_packed(head))
        file.seek(0)
        if head[:2] == GZIP:
            with gzip.GzipFile(fileobj=file) as inner:
                found += self._packed(inner, depth - 1)  # type: ignore[arg-type]
        elif head == _ZIP:
            with zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    found += self._bytes(member.filename.encode("utf-8", "surrogateescape"))
                    with archive.open(member) as opened:
                        found += self._packed(opened, depth - 1)
        elif head == _PARQUET:
            found += self._parquet(file)
        return found

    def _packed(self, inner: IO[bytes], depth: int) -> Counter[Needle]:
        """What was packed; held whole only where it is packed itself."""
        stream = io.BufferedReader(inner)  # type: ignore[type-var]
        if is_packed(stream.peek(4)[:4]):
            return self._stream(io.BytesIO(stream.read()), depth)
        return self._plain(stream)

    def _plain(self, file: IO[bytes] | io.BufferedReader, *, packed: bool = False) -> Counter[Needle]:
        """A match at the very end of a chunk waits for the next one, which knows what follows it."""
        found: Counter[Needle] = Counter()
        tail, chunk = b"", file.read(_CHUNK)
        while chunk:
            following = file.read(_CHUNK)
            data = tail + chunk
            found += self._bytes(data, ends_after=max(len(tail) - 1, 0), is_last=not following, packed=packed)
            tail, chunk = data[-self._overlap :], following
        return found

    def _bytes(self, data: bytes, *, ends_after: int = 0, is_last: bool = True, packed: bool = False) -> Counter[Needle]:
        matches = self._matches(data, packed=packed)
        return Counter(self._of[which] for which, _, end in matches if end > ends_after and (is_last or end < len(data)))

    def _parquet(self, file: BinaryIO) -> Counter[Needle]:
        """Decoded columns: texts as bytes with a separator, integers by value."""
        found: Counter[Needle] = Counter()
        with pq.ParquetFile(file) as parquet:  # without threads: one that holds a Python file can hang or abort the end of the process
            for batch in parquet.iter_batches(batch_size=65_536, use_threads=False):
                for column in _leaves(batch.columns):
                    found += self._column(column)
        return found

    def _column(self, column: pa.Array) -> Counter[Needle]:
        kind = column.type
        if pa.types.is_int64(kind) and len(self._numbers):
            numbers = column.filter(pc.is_in(column, self._numbers)).to_pylist()
            return Counter(Needle(PERSON_ID, str(number)) for number in numbers)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            distinct = [v for v in pc.unique(column).to_pylist() if v is not None]
            return self._bytes(b"\n".join(v if isinstance(v, bytes) else v.encode() for v in distinct))
        return Counter()


def scan_folder(
    root: Path, scanner: Scanner, *, skip: Sequence[str] = (), counts: Callable[[str, Needle], bool] = lambda *_: True,
    progress: Callable[[int], object] = lambda _: None,
) -> Found:  # fmt: skip
    """Scan every file below a folder.

    Args:
        root: The folder.
        scanner: What to look for.
        skip: Relative paths of folders or files that are left out.
        counts: Whether a match of a needle at a relative path says anything of the person.
        progress: Told of bytes read.
    """
    result = Found(too_short=scanner.too_short)
    for path, relative in _files(root, skip):
        try:
            size = path.lstat().st_size
            hits = scanner.scan_file(path)
        except FileNotFoundError:  # taken away meanwhile
            continue
        except CANNOT_READ:
            hits = Counter()
            result.unreadable.append(relative)
        hits += scanner.scan_bytes(relative.encode("utf-8", "surrogateescape"))
        kinds = Counter[str]()
        for needle, number in hits.items():
            if counts(relative, needle):
                kinds[needle.kind] += number
        if kinds:
            result.hits[relative] = kinds
        result.files += 1
        result.bytes += size
        progress(size)
    return result


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is opened: gzip, ZIP or Parquet."""
    return head[:2] == GZIP or head[:4] in (_ZIP, _PARQUET)


def _leaves(columns: Iterable[pa.Array]) -> Iterator[pa.Array]:
    for column in columns:
        kind = column.type
        if pa.types.is_struct(kind):
            yield from _leaves(column.flatten())
        elif pa.types.is_map(kind):
            yield from _leaves([column.keys, column.items])
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            yield from _leaves([column.flatten()])
        elif pa.types.is_dictionary(kind):
            yield from _leaves([column.dictionary])
        else:
            yield column


def _files(root: Path, skip: Sequence[str]) -> Iterator[tuple[Path, str]]:
    for place, folders, names in os.walk(root):
        here = os.path.relpath(place, root)
        folders[:] = sorted(f for f in folders if os.path.normpath(os.path.join(here, f)) not in skip)
        for name in sorted(names):
            relative = os.path.normpath(os.path.join(here, name))
            path = Path(place) / name
            if relative not in skip and path.is_file() and not path.is_symlink():
                yield path, relative
