"""What the online store holds of the entities of some requests, and what of it each request may use.

The store has at most one row of an entity, and gives it in the place of the request, so nothing is searched: of each row is
decided whether it counts, by the rule of `pipelines.scoring.as_of` by which batch decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pipelines.scoring.as_of import MICROSECONDS_PER_HOUR, Booleans, Integers, counts, instants
from pipelines.scoring.columns import ARROW_TYPES


class StoredLookup(Protocol):
    """What is asked of a look-up; `pipelines.scoring.function.FeatureLookup` explains it."""

    @property
    def time(self) -> str:
        """The column with the instant from which a row was known."""
        ...

    @property
    def columns(self) -> Mapping[str, str]:
        """Feature column to the name that it gets."""
        ...

    @property
    def kinds(self) -> Mapping[str, str]:
        """The declared type of every column that is read."""
        ...

    @property
    def lookback_hours(self) -> int:
        """A row may be so old."""
        ...

    @property
    def available_after_minutes(self) -> int:
        """A row must be older than this."""
        ...

    @property
    def age_column(self) -> str:
        """The name of the hours between row and prediction."""
        ...

    @property
    def age_as(self) -> str | None:
        """The input that has the same hours; None for none."""
        ...


@dataclass(frozen=True)
class StoredRows:
    """The stored row of each request for each look-up.

    Attributes
    ----------
    columns
        For each look-up its columns in the order of ``kinds``, each with a value for each request; where the store has no row
        of an entity, all of them are missing.
    """

    columns: Sequence[Sequence[Any]]

    def take(self, places: Sequence[int]) -> "StoredRows":
        """Return those of some of the requests."""
        return StoredRows([[values[place] for place in places] for values in self.columns])


def stored_columns(
    requests: pa.Table, stored: StoredRows, lookups: Sequence[StoredLookup], *, time: str
) -> dict[str, pa.Array]:
    """Return the columns that look-ups add to requests: those of the stored rows that count, and how many hours old these were.

    Parameters
    ----------
    requests
        In the order of the stored rows.
    time
        The column with the instant of prediction.
    """
    asked, of_requests = instants(requests.column(time)), requests.column(time).is_valid().to_numpy()
    added: dict[str, pa.Array] = {}
    place = 0
    for lookup in lookups:
        found = dict(zip(lookup.kinds, stored.columns[place:], strict=False))
        place += len(lookup.kinds)
        counting, age = _counting(lookup, asked, pa.array(found[lookup.time], ARROW_TYPES["timestamp"]))
        counting &= of_requests
        left_out = None if counting.all() else ~counting
        for column, name in lookup.columns.items():
            added[name] = pa.array(found[column], ARROW_TYPES[lookup.kinds[column]], mask=left_out)
        added[lookup.age_column] = pa.array(age / MICROSECONDS_PER_HOUR, mask=left_out)
        if lookup.age_as:
            added[lookup.age_as] = added[lookup.age_column]
    return added


def _counting(lookup: StoredLookup, asked: Integers, known: pa.Array) -> tuple[Booleans, Integers]:
    since = instants(known)
    counting = counts(
        asked, since, available_after_minutes=lookup.available_after_minutes, lookback_hours=lookup.lookback_hours
    )
    if known.null_count:
        counting &= known.is_valid().to_numpy(zero_copy_only=False)
    return counting, asked - since
