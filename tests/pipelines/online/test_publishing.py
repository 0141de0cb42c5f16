"""The online store has, after any changes and in any order of instants, the newest row of each entity that may be known."""

import dataclasses
import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from pipelines.online.publishing import BEGINNING, Published, changed_since, publish, published_until
from pipelines.scoring.columns import ARROW_TYPES
from pipelines.scoring.function import FeatureLookup
from tests.pipelines.online_store import empty_store, started

NOON = dt.datetime(2013, 2, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
LOOKUP = FeatureLookup(
    table="trips_features.history",
    keys={"from": "place", "hour_of_day": "hour"},
    time="known_at",
    columns={"mean": "mean_minutes"},
    kinds={"place": "string", "hour": "int", "known_at": "timestamp", "mean": "double"},
    lookback_hours=48,
    available_after_minutes=0,
    age_column="history_age_hours",
)
WAITING = dataclasses.replace(LOOKUP, available_after_minutes=90)
Key = tuple[str, int]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an online store."""
    yield from started(tmp_path_factory.mktemp("store"))


@pytest.fixture
def connection(store: str) -> Iterator[Any]:
    """A connection to a store that holds nothing."""
    with empty_store(store, "trips_features") as opened:
        yield opened


@dataclass
class Stored:
    """A feature table in memory: the value of each entity and instant."""

    rows: dict[tuple[str, int, dt.datetime], float | None] = field(default_factory=dict)
    changes: dict[str, dt.datetime] = field(default_factory=dict)
    asked: list[dt.datetime] = field(default_factory=list)

    def change(self, name: str, *rows: tuple[str, int, dt.datetime, float | None], gone: Any = ()) -> None:
        """Write and remove rows as one refresh does, which says from when on something differs."""
        self.rows |= {(place, hour, at): value for place, hour, at, value in rows}
        for key in gone:
            del self.rows[key]
        self.changes[name] = min(
            *(row[2] for row in rows), *(key[2] for key in gone), dt.datetime.max.replace(tzinfo=dt.UTC)
        )

    def newest(self, since: dt.datetime, before: dt.datetime, keys: pa.Table | None = None) -> pa.Table:
        """The newest row of each entity in a window."""
        self.asked.append(since)
        wanted = None if keys is None else {tuple(row.values()) for row in keys.to_pylist()}
        found: dict[Key, dt.datetime] = {}
        for place, hour, at in sorted(self.rows, key=lambda key: key[2]):
            if since <= at < before and (wanted is None or (place, hour) in wanted):
                found[place, hour] = at
        rows = [(*key, at, self.rows[*key, at]) for key, at in found.items()]
        names = list(LOOKUP.kinds)
        return pa.Table.from_pylist(
            [dict(zip(names, row, strict=True)) for row in rows],
            schema=pa.schema([(name, ARROW_TYPES[kind]) for name, kind in LOOKUP.kinds.items()]),
        )


def online(connection: Any) -> dict[Key, tuple[dt.datetime, float | None]]:
    """What the store holds."""
    rows = connection.execute('SELECT place, hour, known_at, mean FROM "trips_features"."history"').fetchall()
    return {(place, hour): (at, mean) for place, hour, at, mean in rows}


def expected(stored: Stored, before: dt.datetime) -> dict[Key, tuple[dt.datetime, float | None]]:
    """The newest row of each entity from before an instant."""
    rows = stored.newest(BEGINNING, before).to_pylist()
    return {(row["place"], row["hour"]): (row["known_at"], row["mean"]) for row in rows}


def test_a_publication_holds_the_newest_rows_before_its_instant_and_a_second_one_changes_nothing(
    connection: Any,
) -> None:
    """A row of the instant itself is not known yet; a missing value and a fraction come back as they are."""
    stored = Stored()
    stored.change("a", ("x", 1, NOON - HOUR, 0.1 + 0.2), ("x", 1, NOON, 9.0), ("y", 2, NOON - 2 * HOUR, None))
    first = publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON)
    assert online(connection) == {("x", 1): (NOON - HOUR, 0.1 + 0.2), ("y", 2): (NOON - 2 * HOUR, None)}
    assert (first.written, first.removed) == (2, 0)
    asked = len(stored.asked)
    again = publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON)
    assert (again.written, again.removed, len(stored.asked)) == (0, 0, asked)
    publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON + HOUR)
    assert stored.asked[-1] == NOON  # only what has become known since
    assert online(connection)["x", 1] == (NOON, 9.0)


def test_rows_that_must_wait_are_held_back(connection: Any) -> None:
    """A request at the instant could not have had them."""
    stored = Stored()
    stored.change("a", ("x", 1, NOON - HOUR, 1.0), ("x", 1, NOON - 2 * HOUR, 2.0))
    publish(connection, WAITING, stored, changes=stored.changes, until=NOON)
    assert online(connection) == {("x", 1): (NOON - 2 * HOUR, 2.0)}


def test_a_late_row_a_corrected_one_and_one_taken_back_reach_the_store(connection: Any) -> None:
    """A late row that is not the newest changes nothing; an entity whose newest row is gone has the one before again."""
    stored = Stored()
    stored.change("a", ("x", 1, NOON - 5 * HOUR, 1.0), ("x", 1, NOON - 2 * HOUR, 2.0), ("y", 1, NOON - HOUR, 3.0))
    publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON)
    stored.change("late", ("x", 1, NOON - 3 * HOUR, 7.0), ("z", 1, NOON - 4 * HOUR, 8.0))
    stored.change("corrected", ("x", 1, NOON - 2 * HOUR, 2.5))
    publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON)
    assert online(connection) == expected(stored, NOON)
    assert online(connection)["x", 1] == (NOON - 2 * HOUR, 2.5)
    stored.change("back", gone=[("x", 1, NOON - 2 * HOUR), ("y", 1, NOON - HOUR)])
    done = publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON)
    assert online(connection) == {("x", 1): (NOON - 3 * HOUR, 7.0), ("z", 1): (NOON - 4 * HOUR, 8.0)}
    assert done.removed == 1


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_changes_and_instants_ends_with_the_newest_rows(connection: Any, seed: int) -> None:
    """Forwards and backwards in time, with rows added, changed and removed in between."""
    chance, stored = random.Random(seed), Stored()
    for step in range(25):
        places = [(chance.choice("xyz"), chance.randrange(2)) for _ in range(chance.randrange(4))]
        rows = [
            (*key, NOON + chance.randrange(-20, 20) * HOUR, chance.choice([None, chance.random()])) for key in places
        ]
        gone = chance.sample(sorted(stored.rows), min(len(stored.rows), chance.randrange(3)))
        if rows or gone:
            stored.change(str(step), *(row for row in rows if row[:3] not in gone), gone=gone)
        until = NOON + chance.randrange(-20, 21) * HOUR
        publish(connection, WAITING, stored, changes=stored.changes, until=until)
        assert online(connection) == expected(stored, until - dt.timedelta(minutes=90))


def test_a_publication_that_fails_has_not_been(connection: Any) -> None:
    """Rows, instant and changes are one transaction, so the next one brings everything."""
    stored = Stored()
    stored.change("a", ("x", 1, NOON - HOUR, 1.0))
    publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON)
    stored.change("b", ("x", 1, NOON + HOUR, 2.0))

    class Killed:
        newest = staticmethod(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        publish(connection, LOOKUP, Killed(), changes=stored.changes, until=NOON + 2 * HOUR)
    assert published_until(connection, [LOOKUP]) == {LOOKUP.table: NOON}
    publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON + 2 * HOUR)
    assert online(connection) == {("x", 1): (NOON + HOUR, 2.0)}


def test_what_has_to_be_read_follows_from_instants_and_changes() -> None:
    """Nothing where both are the same, everything where a change that was taken in has been undone."""
    published = Published(until=NOON, changes=frozenset({"a"}))
    early, late = NOON - 9 * HOUR, NOON + HOUR
    assert changed_since(Published(until=None, changes=frozenset()), {}, NOON) == BEGINNING
    assert changed_since(published, {"a": early}, NOON) is None
    assert changed_since(published, {"a": early}, late) == NOON
    assert changed_since(published, {"a": early}, NOON - HOUR) == NOON - HOUR
    assert changed_since(published, {"a": early, "b": early}, late) == early
    assert changed_since(published, {"b": late}, late) == BEGINNING


def test_other_columns_than_before_are_published_whole(connection: Any) -> None:
    """A look-up that reads one column more finds it for every entity."""
    stored = Stored()
    stored.change("a", ("x", 1, NOON - HOUR, 1.0))
    fewer = dataclasses.replace(LOOKUP, kinds={name: kind for name, kind in LOOKUP.kinds.items() if name != "mean"})

    class Fewer(Stored):
        def newest(self, since: dt.datetime, before: dt.datetime, keys: pa.Table | None = None) -> pa.Table:
            return stored.newest(since, before, keys).drop_columns(["mean"])

    publish(connection, fewer, Fewer(), changes=stored.changes, until=NOON)
    publish(connection, LOOKUP, stored, changes=stored.changes, until=NOON)
    assert online(connection) == {("x", 1): (NOON - HOUR, 1.0)}
