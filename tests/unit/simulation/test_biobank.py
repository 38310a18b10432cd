"""The simulated biobank holds together: amounts add up but where they were planted not to, and the lake's macros are not asked."""

from __future__ import annotations

import csv
from collections import Counter
from fractions import Fraction
from typing import Any

UNITS = {"mL": Fraction(1000), "uL": Fraction(1)}


def _rows(country: Any, name: str) -> list[dict[str, str]]:
    """Rows of all deliveries of a table but the one that is sent again; rows of the wrong width are left out."""
    found = []
    for path in sorted((country.root / "deliveries" / "b11" / "lims").glob(f"*/{name}.csv")):
        if not path.parent.name.endswith("-resend"):
            with path.open(encoding="utf-8", newline="") as lines:
                found += [row for row in csv.DictReader(lines) if None not in row and None not in row.values()]
    return found


def test_every_specimen_is_conserved_but_those_planted(small_country: Any) -> None:
    lost: Counter[str] = Counter()
    for row in _rows(small_country, "specimen"):
        lost[row["specimen_id"]] += (Fraction(row["amount_collected"]) - Fraction(row["amount_remaining"])) * UNITS[row["amount_unit"]]
    seen = set()
    for row in _rows(small_country, "aliquot"):
        usable = row["donor_id"] and not row["created_at"].startswith("2024-02-30") and row["aliquot_id"] not in seen
        if usable and row["parent_id"] in lost:
            seen.add(row["aliquot_id"])
            amount, unit = (
                (row["amount_taken"], row["amount_taken_unit"]) if row["amount_taken"] else (row["amount_initial"], row["amount_unit"])
            )
            lost[row["parent_id"]] -= Fraction(amount) * UNITS[unit]
    planted = small_country.truth("select sample_number from biobank_samples where finding = 'amount_not_conserved'")
    assert {number for number, amount in lost.items() if amount} == {number for (number,) in planted} != set()


def test_donors_are_people_with_and_without_consent_to_specimens(small_country: Any) -> None:
    agreed = small_country.truth("""
        select exists (from consent_states as c where c.person = s.person and c.scope = 'specimen'), count(distinct s.person)
        from biobank_samples as s group by all
    """)
    assert {flag for flag, _ in agreed} == {True, False}


def test_some_of_those_who_withdrew_have_their_samples_destroyed(small_country: Any) -> None:
    reasons = Counter(row["reason"] for row in _rows(small_country, "disposal"))
    assert reasons["withdrawal"] > 0 and reasons["expired"] > 0
