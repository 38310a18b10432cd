"""The door: whole deliveries, before any byte is parsed. A refusal says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.landing.door import admit, closed_folders, recover_stored, stored_folder
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey, FileCount, Receipt
from assets.ledger.schema import DeliveryState

PATIENT = '{"resourceType":"Patient","id":"a"}\n'
Deliver = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def _state(workspace: Workspace, key: DeliveryKey) -> tuple[str, str | None]:
    row: Any = workspace.deliveries.get(key)
    return row["state"], row["reason"]


def _close(workspace: Workspace, key: DeliveryKey, records: int) -> None:
    file = FileCount(0, "Patient.ndjson", "s", 1, counted=records, landed=records)
    workspace.deliveries.close_landed(key, Receipt([file], {}, {}), rule_version="r")


def test_good_delivery_is_accepted_and_leaves_the_inbox(workspace: Workspace, deliver: Deliver) -> None:
    folder = deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT})
    key = admit(workspace, folder)
    assert _state(workspace, key) == ("accepted", None)
    assert not folder.exists()
    assert (stored_folder(workspace, key) / "Patient.ndjson").read_text() == PATIENT


@pytest.mark.scenario("02 half-uploaded delivery")
def test_folder_without_manifest_is_not_touched(workspace: Workspace, deliver: Deliver) -> None:
    folder = deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT})
    (folder / "manifest.json").unlink()
    assert list(closed_folders(workspace.lake.inbox)) == []
    assert folder.exists()


def _wrong_hash(folder: Path) -> None:
    (folder / "Patient.ndjson").write_text(PATIENT.replace('"a"', '"b"'))


def _truncated(folder: Path) -> None:
    (folder / "Patient.ndjson").write_text(PATIENT[:10])


def _gone(folder: Path) -> None:
    (folder / "Patient.ndjson").unlink()


def _extra(folder: Path) -> None:
    (folder / "stray.csv").write_text("x")


def _link(folder: Path) -> None:
    (folder / "Patient.ndjson").unlink()
    (folder / "Patient.ndjson").symlink_to("/etc/hostname")


@pytest.mark.scenario("01 truncated or altered file")
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_wrong_hash, "hash_mismatch"),
        (_truncated, "size_mismatch"),
        (_gone, "file_missing"),
        (_extra, "undeclared_file"),
        (_link, "file_missing"),
        (lambda f: (f / "manifest.json").write_text("{"), "manifest_invalid"),
    ],
)
def test_spoilt_delivery_is_refused_whole(workspace: Workspace, deliver: Deliver, spoil: Callable[[Path], None], reason: str) -> None:
    folder = deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT})
    spoil(folder)
    key = admit(workspace, folder)
    assert _state(workspace, key) == ("refused", reason)
    assert not folder.exists()


@pytest.mark.parametrize(("site", "feed", "reason"), [("h77", "fhir_r4", "unknown_site"), ("h02", "omop", "unknown_feed")])
def test_wrong_site_or_feed_is_refused_naming_the_known_ones(
    workspace: Workspace, deliver: Deliver, site: str, feed: str, reason: str
) -> None:
    key = admit(workspace, deliver(workspace.root, site, feed, "d1", {"Patient.ndjson": PATIENT}))
    row: Any = workspace.deliveries.get(key)
    assert (row["state"], row["reason"]) == ("refused", reason)
    assert "h02" in row["detail"] or "fhir_r4" in row["detail"]


def test_delivery_that_lies_in_another_folder_is_refused(workspace: Workspace, deliver: Deliver) -> None:
    folder = deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT}, site="h01")
    assert _state(workspace, admit(workspace, folder)) == ("refused", "manifest_path")


@pytest.mark.scenario("04 same delivery again")
def test_same_delivery_again_changes_nothing(workspace: Workspace, deliver: Deliver) -> None:
    first = admit(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT}))
    _close(workspace, first, 1)
    again = deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT})
    assert admit(workspace, again) == first
    assert _state(workspace, first) == ("landed", None)
    assert not again.exists()
    assert len(workspace.deliveries.all_rows()) == 1


@pytest.mark.scenario("05 same id, other content")
def test_same_id_with_other_content_is_refused_and_the_first_stays(workspace: Workspace, deliver: Deliver) -> None:
    first = admit(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT}))
    _close(workspace, first, 1)
    other = admit(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT * 2}))
    assert _state(workspace, other) == ("refused", "delivery_id_reused")
    assert _state(workspace, first) == ("landed", None)


@pytest.mark.scenario("04 same delivery again")
def test_same_files_under_a_new_id_are_duplicates(workspace: Workspace, deliver: Deliver) -> None:
    first = admit(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT}))
    _close(workspace, first, 1)
    twin = admit(workspace, deliver(workspace.root, "h02", "fhir_r4", "d2", {"Patient.ndjson": PATIENT}, sequence=2))
    row: Any = workspace.deliveries.get(twin)
    assert (row["state"], row["delivered"], row["duplicate"]) == ("duplicate", 1, 1)


@pytest.mark.scenario("04 same delivery again")
def test_same_files_after_a_correction_are_news(workspace: Workspace, deliver: Deliver) -> None:
    """d1, then a correction d2, then d1's bytes again as d3: d3 takes the correction back, so it must land."""
    for number, text in ((1, PATIENT), (2, PATIENT * 2), (3, PATIENT)):
        key = admit(workspace, deliver(workspace.root, "h02", "fhir_r4", f"d{number}", {"Patient.ndjson": text}, sequence=number))
        assert _state(workspace, key)[0] == "accepted"
        _close(workspace, key, 1)


def test_sequence_of_another_delivery_is_refused(workspace: Workspace, deliver: Deliver) -> None:
    admit(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT}))
    key = admit(workspace, deliver(workspace.root, "h02", "fhir_r4", "d2", {"Patient.ndjson": PATIENT * 2}))
    assert _state(workspace, key) == ("refused", "sequence_reused")


def test_kill_between_move_and_ledger_row_is_recovered(workspace: Workspace, deliver: Deliver) -> None:
    key = admit(workspace, deliver(workspace.root, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENT}))
    with workspace._engine.begin() as connection:
        connection.exec_driver_sql("update delivery set state = 'waiting'")
    recover_stored(workspace)
    assert _state(workspace, key) == (DeliveryState.ACCEPTED, None)
