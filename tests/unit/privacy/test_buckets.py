"""Buckets grow with the country."""

from assets.privacy.buckets import BucketSizes


def test_every_bucket_holds_consecutive_people_and_none_is_skipped() -> None:
    sizes = BucketSizes(((4, 2), (10, 3)), 5)
    assert [sizes.bucket(n) for n in range(1, 22)] == [0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6]


def test_a_million_people_make_609_buckets() -> None:
    sizes = BucketSizes()
    assert sizes.bucket(256) == 0
    assert sizes.bucket(257) == 1
    assert sizes.bucket(16_384) == 63
    assert sizes.bucket(147_456) == 191
    assert sizes.bucket(1_000_000) == 608  # counted from 0


def test_sizes_survive_being_kept() -> None:
    assert BucketSizes.from_bytes(BucketSizes(((4, 2),), 5).to_bytes()) == BucketSizes(((4, 2),), 5)
