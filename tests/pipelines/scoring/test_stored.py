"""What the store gives a request is what a search in the rows of batch finds, whatever rows and requests there are."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pipelines.scoring.function import FeatureLookup
from pipelines.scoring.stored import StoredRows
from tests.pipelines.scoring.declared_trips import FUNCTION, HOUR, LINES, NOON, PLACES

MOMENT = dt.timedelta(microseconds=1)
BOUNDS = (dt.timedelta(), HOUR / 2, 6 * HOUR, 1_000 * HOUR)
"""Between a row and a request: equal instants, the wait and the look-back of one look-up, the look-back of the other."""
AGES = [bound + shift for bound in BOUNDS for shift in (-MOMENT, dt.timedelta(), MOMENT)]
PLACE, LINE = some.sampled_from(["a", "b", "nowhere", None]), some.sampled_from([1, 2, None])
REQUESTS = some.lists(some.tuples(PLACE, LINE, some.sampled_from([0, 1, 7])), min_size=1, max_size=6)
KNOWN = some.tuples(some.sampled_from(AGES), some.sampled_from([None, 1.5]), some.sampled_from(["a", "new", None]),
                    some.sampled_from([None, 3]))  # fmt: skip


@given(
    asked=REQUESTS,
    places=some.dictionaries(some.sampled_from(["a", "b"]), KNOWN),
    lines=some.dictionaries(some.tuples(some.sampled_from(["a", "b"]), some.sampled_from([1, 2])), KNOWN),
)
def test_the_stored_row_counts_exactly_where_the_search_finds_it(
    asked: list[tuple[Any, ...]], places: dict[str, tuple[Any, ...]], lines: dict[tuple[str, int], tuple[Any, ...]]
) -> None:
    """Missing keys, unknown entities, missing values, and ages at each bound, a microsecond before it and after it."""
    requests = pa.Table.from_pylist(
        [
            {"trip": f"t{number}", "asked_at": NOON + hours * HOUR, "origin": place, "line": line, "people": None}
            for number, (place, line, hours) in enumerate(asked)
        ],
        schema=FUNCTION.schema(),
    )
    tables = [_table(PLACES, {(place,): known for place, known in places.items()}), _table(LINES, lines)]
    columns: list[list[Any]] = []
    for lookup, rows in zip(FUNCTION.lookups, tables, strict=True):
        of_key = {tuple(row[name] for name in lookup.keys.values()): row for row in rows.to_pylist()}
        found = [of_key.get(tuple(row[name] for name in lookup.keys), {}) for row in requests.to_pylist()]
        columns += [[row.get(name) for row in found] for name in lookup.kinds]
    stored = FUNCTION.look_up(requests, StoredRows(columns))
    assert stored.to_pylist() == FUNCTION.look_up(requests, tables).to_pylist()
    assert stored.schema == FUNCTION.look_up(requests, tables).schema
    one = requests.num_rows - 1
    assert (
        FUNCTION.look_up(requests.slice(one), StoredRows(columns).take([one])).to_pylist() == stored.to_pylist()[one:]
    )


def _table(lookup: FeatureLookup, known: dict[Any, tuple[Any, ...]]) -> pa.Table:
    """At most one row of each entity, as the store has them."""
    rows = [
        {**dict(zip(lookup.keys.values(), key, strict=True)), "known_at": NOON - age, "mean": mean, "kind": kind, "count": count}
        for key, (age, mean, kind, count) in known.items()
    ]  # fmt: skip
    schema = pa.schema([field for field in _schema() if field.name in lookup.kinds])
    return pa.Table.from_pylist([{name: row[name] for name in lookup.kinds} for row in rows], schema=schema).select(
        list(lookup.kinds)
    )


def _schema() -> pa.Schema:
    return pa.schema({
        "place": pa.string(), "line": pa.int32(), "known_at": pa.timestamp("us", "UTC"), "mean": pa.float64(),
        "kind": pa.string(), "count": pa.int64(),
    })  # fmt: skip


@pytest.mark.parametrize(("age", "counts"), [(HOUR / 2, False), (HOUR / 2 + MOMENT, True), (6 * HOUR, True),
                                             (6 * HOUR + MOMENT, False)])  # fmt: skip
def test_the_wait_is_exclusive_and_the_look_back_inclusive(age: dt.timedelta, counts: bool) -> None:
    """As the rule says: strictly before the instant less the wait, not older than the look-back."""
    requests = pa.Table.from_pylist([{"trip": "t", "asked_at": NOON, "origin": "a"}], schema=FUNCTION.schema())
    columns = [["a"], [NOON - age], [1.5], ["b"], [None], [None], [None], [None]]
    (found,) = FUNCTION.look_up(requests, StoredRows(columns)).to_pylist()
    assert (found["place_mean"], found["places_age_hours"]) == ((1.5, age / HOUR) if counts else (None, None))
