"""The seed of concepts says what the real vocabulary says, wherever the shared files hold the same concept."""

from pathlib import Path

import duckdb

SEED = Path(__file__).resolve().parents[3] / "dbt_project" / "seeds" / "vocabulary" / "seed_concept.csv"
NO_LONGER_STANDARD = {3030354}
"""Standard when the real hospitals' files were made, retired since; their rows still carry it."""


def test_seed_concepts_agree_with_a_real_vocabulary(shared_data: Path) -> None:
    published = shared_data / "06_omop_synthea27nj" / "concept.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"create view seed as from read_csv('{SEED}', all_varchar = true, header = true)")
        both = connection.execute(f"""
            select s.concept_id::bigint, s.concept_code = p.concept_code and s.domain_id = p.domain_id and s.vocabulary_id = p.vocabulary_id,
                coalesce(s.standard_concept, '') = coalesce(p.standard_concept, '')
            from seed as s inner join '{published}' as p on p.concept_id = s.concept_id::bigint
        """).fetchall()
    assert len(both) > 400
    assert [concept for concept, same, _ in both if not same] == []
    assert {concept for concept, _, same in both if not same} == NO_LONGER_STANDARD
