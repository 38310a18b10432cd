"""A lake outlives the checkout that built it."""

from pathlib import Path

from assets.dbt_manifest import empty_models, forget_other_checkout, load_manifest


def test_the_parse_of_a_checkout_that_was_moved_is_dropped_and_ones_own_is_kept(tmp_path: Path) -> None:
    parse = tmp_path / "partial_parse.msgpack"
    parse.write_bytes(b"made elsewhere")
    (tmp_path / "checkout").write_text("where/it/stood/dbt_project")
    forget_other_checkout(tmp_path)
    assert not parse.exists()
    parse.write_bytes(b"made here")
    forget_other_checkout(tmp_path)
    assert parse.exists()


def test_models_of_feeds_that_never_came_are_empty_whatever_people_there_are() -> None:
    landed = {"raw/people/sighting", "raw/people/link", "raw/fhir/tombstone", "raw/fhir/condition"}
    empty = empty_models(load_manifest(), landed)
    assert "model.biodam.stg_ccda__problems" in empty
    assert "model.biodam.stg_fhir__encounters" in empty
    assert not {"model.biodam.stg_fhir__conditions", "model.biodam.consent_relation", "model.biodam.int_events__unioned"} & empty
