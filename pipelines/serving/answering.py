"""Answers requests: the version in use, the online store, the scoring function, and the journal before anybody is told."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from pipelines.declarations.answers import AGES, ANSWER_ID, ANSWERED_AT, REQUEST
from pipelines.declarations.asset import Table
from pipelines.lakehouse.tables.arrow import arrow_schema
from pipelines.scoring.function import ScoringFunction
from pipelines.scoring.online import OnlineFeatures
from pipelines.serving.journal import Journal
from pipelines.serving.versions import Followed


class Answering:
    """What the scorer's thread calls."""

    def __init__(
        self, followed: Followed, *, store: str, table: Table, journal: Journal,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:  # fmt: skip
        self._followed = followed
        self._store = store
        self._table = table
        self._journal = journal
        self._clock = clock
        self._features: tuple[ScoringFunction, OnlineFeatures] | None = None

    def __call__(self, asked: list[tuple[str, pa.Table]]) -> list[pa.Table]:
        """Return the answer to each request; all of them are in the journal."""
        loaded = self._followed.loaded
        requests = pa.concat_tables([rows for _, rows in asked])
        features = self._online(loaded.function).newest(requests)
        answers = loaded.function.answer(requests, features, loaded.model, version=loaded.number)
        ids = [f"{name}/{place}" for name, rows in asked for place in range(rows.num_rows)]
        self._journal.write(self._journalled(ids, requests, answers, loaded.function))
        shown = answers.select(list(loaded.function.answer_columns))
        found, place = [], 0
        for _, rows in asked:
            found.append(shown.slice(place, rows.num_rows))
            place += rows.num_rows
        return found

    def _online(self, function: ScoringFunction) -> OnlineFeatures:
        """Return the look-ups of a version's function; those of the version before are closed."""
        if self._features is None or self._features[0] is not function:
            if self._features is not None:
                self._features[1].close()
            self._features = function, OnlineFeatures(function, self._store)
        return self._features[1]

    def _journalled(self, ids: list[str], requests: pa.Table, answers: pa.Table, function: ScoringFunction) -> pa.Table:
        """Return answers as rows of the inference table."""
        ages = [lookup.age_column for lookup in function.lookups]
        own: dict[str, Any] = {
            ANSWER_ID: pa.array(ids),
            ANSWERED_AT: pa.repeat(pa.scalar(self._clock(), pa.timestamp("us", "UTC")), len(ids)),
            REQUEST: pa.array([json.dumps(row, default=str) for row in requests.to_pylist()]),
            AGES: pa.array([json.dumps(row) for row in answers.select(ages).to_pylist()]),
        }
        schema, columns = arrow_schema(self._table), []
        for part in schema:
            values = own[part.name] if part.name in own else answers.column(part.name)
            columns.append(values.cast(part.type))
        return pa.Table.from_arrays(columns, schema=schema)
