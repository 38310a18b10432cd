"""Nothing damaged is read by a build or published.

Belongs here: the check before reading. Does not belong here: looking at files nobody reads (`scrub`), repairing (`repair`).

Sound and cheap: a file is hashed when it is first read and its stamp (inode, size, times) kept in the ledger; afterwards a build pays one
`stat` a file. Whatever writes to a file changes its stamp, so it is hashed again. Rot of the device changes no stamp: the weekly scrub, which
trusts none, finds that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assets.lake.commits import log_folder, read_snapshot
from assets.lake.durable import sha256_file, stamp
from assets.lake.log_state import CHECKPOINT_POINTER, LogState, checkpoint_version, differs, pointer_differs
from assets.landing.workspace import Workspace
from assets.upkeep.scrub import Finding, Kind, file_problem

_THREADS = 2


class DamagedTable(RuntimeError):
    """A table that was about to be read or published is not what was written. Nothing was read or published."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        first = findings[0]
        more = f" and {len(findings) - 1} more file(s)" if len(findings) > 1 else ""
        super().__init__(f"{first.table}: {first.path}: {first.detail}{more}. Remedy: `biodam repair`, then `biodam run`")


def require_whole(workspace: Workspace, versions: Mapping[str, int]) -> None:
    """Check tables before they are read.

    Args:
        workspace: The lake.
        versions: Table key -> version that will be read.

    Raises:
        DamagedTable: With every file of these tables that differs.
    """
    findings = [finding for table, version in sorted(versions.items()) for finding in _Guard(workspace, table, version).run()]
    if findings:
        raise DamagedTable(findings)


class _Guard:
    """One table at one version."""

    def __init__(self, workspace: Workspace, table: str, version: int) -> None:
        self._workspace = workspace
        self._lake = workspace.lake
        self._table = table
        self._version = version
        self._folder = workspace.lake.table(table)
        self._at, self._trusted = workspace.upkeep.stamps(table)
        self._recorded: dict[str, tuple[int, int, str]] | None = None
        self._stamps: dict[str, str] = {}

    def run(self) -> list[Finding]:
        """Findings; where there are none, the stamps are kept."""
        findings = list(self._log())
        if not findings:
            try:
                live = self._live()
            except Exception as error:  # delta-rs raises what it likes on a log it cannot follow
                return [self._finding(self._version, "_delta_log", Kind.DAMAGED, f"the table does not open ({type(error).__name__})")]
            with ThreadPoolExecutor(_THREADS) as threads:
                findings = [f for f in threads.map(self._data, live) if f is not None]
        if not findings and (self._at != self._version or self._stamps != self._trusted):
            self._workspace.upkeep.note_whole(self._table, self._version, self._stamps)
        return findings

    def _live(self) -> list[str]:
        """Data files of the version: as noted when it was last found whole, else by the log."""
        if self._at == self._version:
            return [name for name in self._trusted if not name.startswith("_delta_log/")]
        snapshot = read_snapshot(self._lake, self._table, self._version)
        return [str(path.relative_to(self._folder)) for path in snapshot.files]

    def _log(self) -> Iterator[Finding]:
        folder = log_folder(self._lake, self._table)
        present = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
        names = [f"{version:020d}.json" for version in range(self._version + 1)]
        for version, name in enumerate(names):
            if name not in present:
                yield self._finding(version, f"_delta_log/{name}", Kind.MISSING, "the log file of this commit is not there")
                return
            if not self._is_trusted(f"_delta_log/{name}", folder / name):
                recorded = self._log_hashes().get(version)
                if recorded is not None and sha256_file(folder / name) != recorded:
                    yield self._finding(
                        version, f"_delta_log/{name}", Kind.DAMAGED, "the log file is not what was written (SHA-256 differs)"
                    )
                    return
        checkpoints = sorted(n for n in present if checkpoint_version(n) is not None)
        yield from self._checkpoints(folder, checkpoints)

    def _checkpoints(self, folder: Path, names: list[str]) -> Iterator[Finding]:
        """Readers begin at the newest checkpoint. Its hash is kept beside its stamp once its content was compared with the log."""
        if (problem := pointer_differs(folder, folder / names[-1] if names else None)) is not None:
            yield self._finding(None, f"_delta_log/{CHECKPOINT_POINTER}", Kind.DAMAGED, problem)
        for name in names:
            path, key = folder / name, f"_delta_log/{name}"
            mark, _, digest = self._trusted.get(key, "").partition(" ")
            now = stamp(path)
            if mark != now:
                found = sha256_file(path)
                if (problem := _changed(digest, found) or differs(path, self._replay(folder, checkpoint_version(name) or 0))) is not None:
                    yield self._finding(checkpoint_version(name), key, Kind.DAMAGED, f"the checkpoint: {problem}")
                digest = found
            self._stamps[key] = f"{now} {digest}"

    def _replay(self, folder: Path, version: int) -> LogState:
        state = LogState()
        for number in range(version + 1):
            state.take(number, (folder / f"{number:020d}.json").read_bytes())
        return state

    def _data(self, name: str) -> Finding | None:
        path = self._folder / name
        try:
            if self._is_trusted(name, path):
                return None
        except OSError:
            return self._finding(None, name, Kind.MISSING, "a data file is not there")
        version, size, sha256 = self._files().get(name, (-1, -1, ""))
        if version < 0:
            return self._finding(self._version, name, Kind.UNKNOWN, "the log names a file that no commit of the ledger wrote")
        problem = file_problem(path, size, sha256)
        return None if problem is None else self._finding(version, name, *problem)

    def _is_trusted(self, name: str, path: Path) -> bool:
        now = stamp(path)
        self._stamps[name] = now
        return self._trusted.get(name) == now

    def _log_hashes(self) -> dict[int, str]:
        self._load()
        return self._hashes

    def _files(self) -> dict[str, tuple[int, int, str]]:
        self._load()
        assert self._recorded is not None
        return self._recorded

    def _load(self) -> None:
        """What the ledger recorded of the table; read only where something has to be hashed."""
        if self._recorded is not None:
            return
        recorded: dict[str, tuple[int, int, str]] = {}
        self._hashes: dict[int, str] = {}
        for row in self._workspace.upkeep.commits(self._table):
            self._hashes[int(row["version"])] = row["log_sha256"]
            recorded.update({f["path"]: (int(row["version"]), f["bytes"], f["sha256"]) for f in row["files"]})
        self._recorded = recorded

    def _finding(self, version: int | None, path: str, kind: Kind, detail: str) -> Finding:
        return Finding(self._table, version, path, kind, detail)


def _changed(before: str, now: str) -> str | None:
    return "it is not what was written (SHA-256 differs)" if before and before != now else None
