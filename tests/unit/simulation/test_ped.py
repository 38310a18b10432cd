"""Pedigrees of the genome centre say what is true: who is whose child, as far as h11 knows both."""

from __future__ import annotations

from typing import Any


def test_every_line_is_true_and_every_link_of_two_patients_is_there(small_country: Any) -> None:
    text = (small_country.folder("g11", "pedigree", "2026-03-full") / "families.ped").read_text(encoding="utf-8")
    header, *lines = text.splitlines()
    assert header.split("\t") == ["#FID", "IID", "PAT", "MAT", "SEX", "PHENO1", "PROBAND"]
    rows = {tuple(line.split("\t")) for line in lines}
    people = {number: (father, mother, sex, role) for number, father, mother, sex, role in small_country.truth("""
        select p.h11_number, coalesce(f.h11_number, '0'), coalesce(m.h11_number, '0'), p.sex, p.role
        from people as p left join people as f on f.person = p.father left join people as m on m.person = p.mother where p.h11_number is not null
    """)}  # fmt: skip
    links = set()
    for _, member, father, mother, sex, _, proband in rows:
        if member == "0":
            continue
        assert {"1": "M", "2": "F"}[sex] == people[member][2]
        assert (proband == "1") == (people[member][3] == "proband")
        assert father in ("0", people[member][0]) and mother in ("0", people[member][1])
        links |= {(member, parent, code) for parent, code in ((father, "KIN:028"), (mother, "KIN:027")) if parent != "0"}
    assert links == set(small_country.truth("""
        select c.h11_number, p.h11_number, relation from pedigree_links inner join people as c using (person)
        inner join people as p on p.person = parent
    """))  # fmt: skip
    assert len(links) > 30
    assert len(lines) - len(rows) + sum(row[1] == "0" for row in rows) >= 2, "sent twice, or without a number"
