"""Checks the receipt of an erasure against the files of a lake. It shares no code with Biodam and needs no key and no database.

    python tools/check_receipt.py LAKE RECEIPT.json [--public-key public.pem] [--values FILE]

What is checked: the signature; that each table's log holds the commit that the receipt names, states this erasure as its cause and took out so many
rows; that files named as removed or destroyed are nowhere below the lake. `--values` (one a line, for example the person's own numbers) are searched
in every file outside vault/ and inbox/, Parquet decoded, as UTF-8, UTF-16, CP949, hexadecimal and base64. Places in which a name or address was left
on purpose are told; a name among the values is found there.

Exit code 0: all holds. 1: something does not, one line each. Needed: cryptography, numpy, pyarrow.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def check(lake: Path, receipt: Path, public_key: Path, values: list[str]) -> list[str]:
    """What does not hold, one line each."""
    whole = json.loads(receipt.read_bytes())
    facts: dict[str, Any] = whole["receipt"]
    wrong = [] if _is_signed(whole, public_key) else ["the signature does not hold: the receipt was changed, or another key signed it"]
    for table, fact in facts["tables"].items():
        wrong += [f"{table}: {problem}" for problem in _table(lake / "tables" / table, fact, facts["erasure_id"])]
    for table, fact in facts["models"].items():
        if not _log(lake / "tables" / table, fact["version_after"]).exists():
            wrong.append(f"{table}: version {fact['version_after']} is not in its log")
    for table, paths in facts["files_removed"].items():
        wrong += [f"{table}: {path} is still there" for path in paths if (lake / "tables" / table / path).exists()]
    wrong += _destroyed(lake / "landing", [*facts["files_destroyed"], *facts["files_redacted"]])
    if facts["scan"]["matches"]:
        wrong.append("the receipt itself says that something was left")
    if values:
        wrong += _search(lake, values)
    return wrong


def _is_signed(whole: dict[str, Any], public_key: Path) -> bool:
    body = json.dumps(whole["receipt"], sort_keys=True, separators=(",", ":")).encode()
    key: Any = load_pem_public_key(public_key.read_bytes())
    try:
        key.verify(base64.b64decode(whole["signature"]), body)
    except (InvalidSignature, ValueError):
        return False
    return True


def _log(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020d}.json"


def _actions(folder: Path, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _log(folder, version).read_text(encoding="utf-8").splitlines() if line]


def _rows(folder: Path, version: int) -> int:
    """Rows of a version, from its log files alone."""
    live: dict[str, int] = {}
    for number in range(version + 1):
        for action in _actions(folder, number):
            if "remove" in action:
                live.pop(unquote(action["remove"]["path"]), None)
        for action in _actions(folder, number):
            if "add" in action:
                live[unquote(action["add"]["path"])] = json.loads(action["add"]["stats"])["numRecords"]
    return sum(live.values())


def _table(folder: Path, fact: dict[str, int], erasure_id: str) -> Iterator[str]:
    before, after = fact["version_before"], fact["version_after"]
    try:
        actions = _actions(folder, after)
        taken = _rows(folder, before) - _rows(folder, after)
    except (OSError, ValueError, KeyError) as error:
        yield f"its log cannot be followed to version {after} ({type(error).__name__})"
        return
    said: dict[str, Any] = next((a["commitInfo"].get("biodam", {}) for a in actions if "commitInfo" in a), {})
    if said.get("cause") != f"erase {erasure_id}":
        yield f"version {after} does not state this erasure as its cause"
    if taken != fact["rows"]:
        yield f"{taken} rows went between versions {before} and {after}, the receipt says {fact['rows']}"
    replaced, written = (sum(kind in a for a in actions) for kind in ("remove", "add"))
    if (replaced, written) != (fact["files_replaced"], fact["files_written"]):
        yield f"version {after} replaced {replaced} files by {written}, the receipt says {fact['files_replaced']} by {fact['files_written']}"


def _destroyed(landing: Path, files: list[dict[str, str]]) -> Iterator[str]:
    """Delivered files are named by the hash they came with: one of these below their delivery means that the bytes are still there."""
    by_delivery: dict[str, set[str]] = {}
    for file in files:
        by_delivery.setdefault(file["delivery"], set()).add(file["sha256"])
    for delivery, hashes in by_delivery.items():
        for path in sorted(p for p in (landing / delivery).rglob("*") if p.is_file()):
            if hashlib.sha256(path.read_bytes()).hexdigest() in hashes:
                yield f"landing/{delivery}: a destroyed or redacted file is still there as it came"


class Patterns:
    """Many patterns looked for at once: whole patterns are compared only where the last bytes of one stand."""

    def __init__(self, patterns: set[bytes]) -> None:
        self._width = min(8, *map(len, patterns))
        self._mask = np.uint64((1 << 8 * self._width) - 1)
        self._ending: dict[int, list[bytes]] = {}
        for pattern in patterns:
            self._ending.setdefault(int.from_bytes(pattern[-self._width :], "little"), []).append(pattern)
        self._may_be = np.zeros(1 << _SLOT_BITS, bool)
        self._may_be[_slots(np.array(list(self._ending), np.uint64))] = True

    def any_in(self, text: bytes) -> bool:
        """Whether one of them stands in the text."""
        padded = text + bytes(8)
        for start in range(0, len(text), _STRETCH):
            for shift in range(start, min(start + 8, len(text))):
                count = (min(_STRETCH, len(text) - start) - (shift - start) + 7) // 8
                windows = np.frombuffer(padded, "<u8", count, shift) & self._mask
                at = np.flatnonzero(self._may_be[_slots(windows)])
                if any(self._is_at(text, shift + 8 * int(n) + self._width, int(windows[n])) for n in at):
                    return True
        return False

    def _is_at(self, text: bytes, end: int, key: int) -> bool:
        return any(end >= len(p) and text.startswith(p, end - len(p)) for p in self._ending.get(key, ()))


_SLOT_BITS = 22
_STRETCH = 8 << 20
"""Bytes of a text that are looked at at once."""


def _slots(keys: Any) -> Any:
    return (keys * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _SLOT_BITS)


def _search(lake: Path, values: list[str]) -> Iterator[str]:
    patterns = Patterns({form for value in values for form in _forms(value) if form})
    for path in sorted(p for p in lake.rglob("*") if p.is_file() and not p.is_symlink()):
        relative = path.relative_to(lake)
        if relative.parts[0] in ("vault", "inbox"):
            continue
        try:
            if any(patterns.any_in(text) for text in _texts(path)):
                yield f"{relative}: holds one of the values"
        except (OSError, EOFError, pa.ArrowException) as error:
            yield f"{relative}: cannot be read to its end ({type(error).__name__})"


def _texts(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if content[:4] == b"PAR1":
        # Not `read_table`: a thread of its scanner that still gives back Python's memory while the interpreter ends aborts the process
        # (apache/arrow#34314).
        with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as parquet:
            table = parquet.read(use_threads=False)
        for column in table.columns:
            yield "\n".join(
                map(str, column.combine_chunks().unique().to_pylist() if not pa.types.is_nested(column.type) else column.to_pylist())
            ).encode()


def _forms(value: str) -> Iterator[bytes]:
    for encoding in ("utf-8", "cp949", "utf-16-le", "utf-16-be"):
        try:
            plain = value.encode(encoding)
        except UnicodeEncodeError:
            continue
        yield plain
        yield plain.hex().encode()
        yield plain.hex().upper().encode()
        for shift in range(3):  # base64 starts at any of three places in a group; the ends mix with neighbours
            text = base64.b64encode(b"\0" * shift + plain).rstrip(b"=")
            yield text[(0, 2, 3)[shift] : len(text) if (len(plain) + shift) % 3 == 0 else -1]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lake", type=Path)
    parser.add_argument("receipt", type=Path)
    parser.add_argument("--public-key", type=Path, help="default: public.pem beside the receipt; better a copy that was kept elsewhere")
    parser.add_argument("--values", type=Path, help="file of values to search, one a line")
    given = parser.parse_args()
    values = [v for v in given.values.read_text(encoding="utf-8").splitlines() if v] if given.values else []
    wrong = check(given.lake, given.receipt, given.public_key or given.receipt.with_name("public.pem"), values)
    said = wrong or [f"{given.receipt.name}: the signature holds, and the files of the lake agree with it"]
    for place in json.loads(given.receipt.read_bytes())["receipt"]["scan"].get("names_left", {}):
        said.append(f"the receipt says that a name or address was left in {place}")
    sys.stdout.write("\n".join(said) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
