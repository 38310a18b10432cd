"""A lake outlives the checkout that built it."""

from pathlib import Path

from assets.dbt_manifest import forget_other_checkout


def test_the_parse_of_a_checkout_that_was_moved_is_dropped_and_ones_own_is_kept(tmp_path: Path) -> None:
    parse = tmp_path / "partial_parse.msgpack"
    parse.write_bytes(b"made elsewhere")
    (tmp_path / "checkout").write_text("where/it/stood/dbt_project")
    forget_other_checkout(tmp_path)
    assert not parse.exists()
    parse.write_bytes(b"made here")
    forget_other_checkout(tmp_path)
    assert parse.exists()
