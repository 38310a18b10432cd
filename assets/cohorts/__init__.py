"""Frozen cohorts: results stamped with everything they were made of, so that they can be made again, judged stale, and reissued."""
