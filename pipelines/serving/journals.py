"""The journals of an endpoint, of answers and of failures, and how they are carried into their tables."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.answers import ANSWER_ID, FAILURE_ID, answers_table, failures_table
from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.serving.journal import Journal, carry


class Journals:
    """Each table with its journal."""

    def __init__(self, lakehouse: Lakehouse, use_case: UseCase, folder: Path) -> None:
        self.answers = answers_table(use_case), Journal(folder / "journal")
        self.failures = failures_table(use_case), Journal(folder / "failures")
        self._tables = lakehouse.tables

    def adopt(self) -> int:
        """End what processes that were killed have left open; return how many segments."""
        return sum(journal.adopt() for _, journal in (self.answers, self.failures))

    def carry_over(self) -> None:
        """Bring what was written into the tables."""
        for name, key, (table, journal) in (
            ("answers", ANSWER_ID, self.answers),
            ("failures", FAILURE_ID, self.failures),
        ):
            journal.close_segment()
            carry(journal, partial(self._append, table, key, name))

    def _append(self, table: Table, key: str, name: str, rows: pa.Table, segment: str) -> None:
        self._tables.append_once(table, once(rows, key), batch_id=f"{name} {segment}")


def once(rows: pa.Table, key: str) -> pa.Table:
    """Return each row once, where a client has asked again under the same id."""
    if pc.count_distinct(rows.column(key)).as_py() == rows.num_rows:
        return rows
    places = dict(zip(reversed(rows.column(key).to_pylist()), reversed(range(rows.num_rows)), strict=True))
    return rows.take(sorted(places.values()))
