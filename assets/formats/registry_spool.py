"""Rows of registry records -> spool batches.

Belongs here: gathering rows and turning them into columns. Does not belong here: making them (`registry_rows`).
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from assets.formats.job import Job
from assets.formats.registry_items import Item
from assets.formats.registry_rows import Facts, Made, dictionary_row, withheld_rows
from assets.formats.spool import Spool

_GATHERED_ROWS = 16_384


class RowSpool:
    """Gathers rows of one file after the other."""

    def __init__(self, job: Job, spool: Spool) -> None:
        self._plans, self._spool = job.entities, spool
        self._rows: dict[str, list[tuple[int, Facts]]] = {}
        self._count = 0
        self._withheld: Counter[tuple[str, str]] = Counter()

    def add(self, file: int, number: int, made: Made) -> None:
        """Rows of one record."""
        for entity, rows in made.rows.items():
            for facts in rows:
                self._add(entity, file, number, facts)
        self._withheld.update(made.withheld)

    def add_item(self, file: int, number: int, item: Item) -> None:
        """One item of a dictionary."""
        self._add("dictionary_item", file, number, dictionary_row(item))

    def end_file(self, file: int) -> None:
        """Write what is gathered, and what the file's records withheld."""
        for number, facts in enumerate(withheld_rows(self._withheld, file), 1):
            self._add("withheld_item", file, number, facts)
        self._withheld.clear()
        self._flush(file)

    def drop_file(self) -> None:
        """Forget what is gathered: the file is refused."""
        self._rows.clear()
        self._withheld.clear()
        self._count = 0

    def _add(self, entity: str, file: int, number: int, facts: Facts) -> None:
        self._rows.setdefault(entity, []).append((number, facts))
        self._count += 1
        if self._count >= _GATHERED_ROWS:
            self._flush(file)

    def _flush(self, file: int) -> None:
        for entity, rows in self._rows.items():
            plan, schema = self._plans[entity], self._spool.schema(entity)
            paths = [*(column.path for column in plan.columns), *plan.identity.values()]
            columns = [[facts.get(path) for _, facts in rows] for path in paths]
            columns += [[file] * len(rows), [number for number, _ in rows]]
            arrays = [pa.array(values, kind.type) for values, kind in zip(columns, schema, strict=True)]
            self._spool.write(entity, file, pa.RecordBatch.from_arrays(arrays, schema=schema))
        self._rows.clear()
        self._count = 0
