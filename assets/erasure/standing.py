"""How every erasure stands: finished with a receipt that holds, or open, or with something that came back.

Belongs here: judging. Does not belong here: showing it (`assets/governance/erasures_asset`, the command).
"""

from __future__ import annotations

from dataclasses import dataclass

from assets.erasure import receipt
from assets.landing.workspace import Workspace


@dataclass(frozen=True)
class Standing:
    """One erasure.

    Attributes:
        erasure_id, step, started_at, finished_at: As in the ledger; empty where it has not ended.
        people, rows, files: People, rows taken out of raw tables, delivered files redacted or destroyed; 0 before the receipt.
        to_reissue: Results that were handed out with these people in them.
        problem: What does not hold, empty where all does.
        names_left: Places that hold a name or address of theirs and were left by whoever looked at them.
    """

    erasure_id: str
    step: str
    started_at: str
    finished_at: str = ""
    people: int = 0
    rows: int = 0
    files: int = 0
    to_reissue: tuple[str, ...] = ()
    problem: str = ""
    names_left: int = 0


def standings(workspace: Workspace) -> list[Standing]:
    """Every erasure, oldest first. Reads receipts and names of files only."""
    return [_one(workspace, row) for row in workspace.erasures.all()]


def _one(workspace: Workspace, row: dict[str, str]) -> Standing:
    known = (row["erasure_id"], row["step"], row["started_at"])
    if not row["finished_at"]:
        return Standing(*known, problem="is not finished. Remedy: `biodam erase --resume`")
    try:
        facts, digest = receipt.read(workspace.lake, row["erasure_id"])
    except (OSError, receipt.ReceiptError) as error:
        return Standing(*known, row["finished_at"], problem=f"{error}. Remedy: restore control/receipts from a backup")
    back = [f"{t}: {p}" for t, paths in facts["files_removed"].items() for p in paths if (workspace.lake.table(t) / p).exists()]
    problem = ""
    if digest != row["receipt_sha256"]:
        problem = "the ledger knows another receipt. Remedy: restore control/receipts from a backup"
    elif back:
        problem = f"{len(back)} file(s) that were taken away are there again, first {back[0]}. Remedy: take them away; a restored backup may hold more"
    return Standing(
        *known, row["finished_at"], facts["person_ids"], sum(t["rows"] for t in facts["tables"].values()), len(facts["files_destroyed"]) + len(facts["files_redacted"]),
        tuple(facts["products_to_reissue"]), problem, len(facts["scan"].get("names_left", ())),
    )  # fmt: skip
