"""The point-in-time join agrees with a brute-force join in plain Python on generated cases and at its limits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from pipelines.dataframes.point_in_time import JoinError, point_in_time_join
from pipelines.declarations.asset import Column, Layer, Table
from pipelines.declarations.feature_table import Lookup
from pipelines.scoring.as_of import LIMIT, match_bucket

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
FEATURES = Table(
    use_case="tests",
    layer=Layer.FEATURES,
    name="history",
    comment="what was known",
    primary_key=("origin", "hour"),
    time_key="known_at",
    columns=(
        Column(name="origin", type="string", nullable=False),
        Column(name="hour", type="int", nullable=False),
        Column(name="known_at", type="timestamp", nullable=False),
        Column(name="delay", type="double"),
        Column(name="flights", type="bigint"),
    ),
)
LOOKUP = Lookup(
    table=FEATURES,
    keys={"airport": "origin", "departure_hour": "hour"},
    columns={"delay": "mean_delay", "flights": "flights_seen"},
    lookback_hours=2,
    age_as="age",
)
SPINE_SCHEMA = pa.schema(
    [("id", pa.int64()), ("airport", pa.string()), ("departure_hour", pa.int32()), ("at", pa.timestamp("us", "UTC"))]
)
FEATURE_SCHEMA = pa.schema(
    [("origin", pa.string()), ("hour", pa.int32()), ("known_at", pa.timestamp("us", "UTC")), ("delay", pa.float64()),
     ("flights", pa.int64())]
)  # fmt: skip
Row = dict[str, Any]

# Times on either side of each bound: the same microsecond, one beside it, exactly the look-back, one beyond it.
MINUTES = st.sampled_from([-121, -120, -119, -60, -1, 0, 1, 60])
INSTANTS = st.builds(
    lambda minutes, microsecond: NOON + timedelta(minutes=minutes, microseconds=microsecond),
    MINUTES,
    st.integers(-1, 1),
)
AIRPORTS, HOURS = st.sampled_from(["JFK", "ü"]), st.integers(0, 1)


def rarely_missing(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return values, one in eight of them missing."""
    return st.integers(0, 7).flatmap(lambda draw: values if draw else st.none())


SPINE_ROWS = st.lists(
    st.fixed_dictionaries(
        {"airport": rarely_missing(AIRPORTS), "departure_hour": rarely_missing(HOURS), "at": rarely_missing(INSTANTS)}
    ),
    max_size=6,
)
FEATURE_ROWS = st.lists(
    st.fixed_dictionaries(
        {"origin": AIRPORTS, "hour": HOURS, "known_at": INSTANTS, "delay": st.none() | st.sampled_from([-1.5, 0.0, 7.25]),
         "flights": st.none() | st.integers(0, 3)}
    ),
    max_size=12,
)  # fmt: skip


def brute_force(spine: Sequence[Row], features: Sequence[Row]) -> list[Row]:
    """Return what the join must return, by comparing every row of the spine with every feature row."""

    def preference(row: Row) -> tuple[Any, ...]:
        return (row["known_at"], *((row[name] is not None, row[name] or 0) for name in ("delay", "flights")))

    joined = []
    for asked in spine:
        known = [
            row
            for row in features
            if asked["at"] is not None
            and (row["origin"], row["hour"]) == (asked["airport"], asked["departure_hour"])
            and timedelta(0) < asked["at"] - row["known_at"]
        ]
        newest = max(known, key=preference, default=None)
        if newest is None or asked["at"] - newest["known_at"] > timedelta(hours=2):
            joined.append({**asked, "mean_delay": None, "flights_seen": None, "age": None})
            continue
        age = (asked["at"] - newest["known_at"]) / timedelta(hours=1)
        joined.append({**asked, "mean_delay": newest["delay"], "flights_seen": newest["flights"], "age": age})
    return joined


def matched(spine: Sequence[Row], features: Sequence[Row], lookup: Lookup = LOOKUP, wait: int = 0) -> list[Row]:
    """Return the rows that one bucket returns, of a table whose rows reach it after so many minutes."""
    result = match_bucket(
        pa.Table.from_pylist(list(spine), schema=SPINE_SCHEMA),
        pa.Table.from_pylist(list(features), schema=FEATURE_SCHEMA),
        keys=lookup.keys,
        spine_time="at",
        feature_time="known_at",
        columns=lookup.columns,
        lookback_hours=lookup.lookback_hours,
        age_as=lookup.age_as,
        available_after_minutes=wait,
    )
    return result.drop_columns(["id"]).to_pylist()


def feature(hours_before: float, **values: Any) -> Row:
    """Return a feature row known this many hours before noon."""
    row = {"origin": "JFK", "hour": 8, "known_at": NOON - timedelta(hours=hours_before), "delay": None, "flights": None}
    return {**row, **values}


ASKED = {"airport": "JFK", "departure_hour": 8, "at": NOON}


@settings(max_examples=200)
@given(SPINE_ROWS, FEATURE_ROWS)
def test_a_bucket_agrees_with_brute_force(spine: list[Row], features: list[Row]) -> None:
    """For any keys, times, ties and missing values; rows of the spine keep their order."""
    assert matched(spine, features) == brute_force(spine, features)


def test_a_feature_row_without_a_time_is_joined_to_nothing_and_hides_none() -> None:
    """It is not a row of 1970, neither for a request of that year nor for one that looks back for ever."""
    unknown, older = (
        feature(0, known_at=None, delay=3.0),
        feature(0, known_at=datetime(1969, 6, 1, tzinfo=UTC), delay=1.0),
    )
    early = {**ASKED, "at": datetime(1970, 1, 1, 1, tzinfo=UTC)}
    for_ever = replace(LOOKUP, lookback_hours=24 * 365 * 50)
    assert matched([early, ASKED], [unknown])[0]["mean_delay"] is None
    assert [row["mean_delay"] for row in matched([early, ASKED], [unknown, older], for_ever)] == [1.0, 1.0]
    assert matched([ASKED], [unknown], for_ever)[0]["age"] is None
    assert matched([], [unknown]) == []


@settings(max_examples=50)
@given(SPINE_ROWS, FEATURE_ROWS)
def test_many_keys_over_centuries_are_matched_the_same(spine: list[Row], features: list[Row]) -> None:
    """If key and time do not fit one integer, times are ranked first; 32 keys over 5,000 years force this."""
    far = [feature(0, origin=f"x{n}", known_at=datetime(1 + 4998 * (n % 2), 1, 1, tzinfo=UTC)) for n in range(32)]
    assert LIMIT // 157_000_000_000_000_000 < 32
    assert matched(spine, [*features, *far]) == brute_force(spine, [*features, *far])


@pytest.mark.proof_on_jvm
@pytest.mark.parametrize("engine", ["embedded_spark", pytest.param("jvm_spark", marks=pytest.mark.jvm)])
def test_the_join_agrees_with_brute_force_on_every_engine(engine: str, request: pytest.FixtureRequest) -> None:
    """Generated cases, each with airports of its own, in one Spark query with several buckets."""
    spark: SparkSession = request.getfixturevalue(engine)
    spine: list[Row] = []
    features: list[Row] = []

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(SPINE_ROWS, FEATURE_ROWS)
    def collect(asked: list[Row], known: list[Row]) -> None:
        case = f"{len(features)}-{len(spine)}-"
        spine.extend({**row, "airport": row["airport"] and case + row["airport"]} for row in asked)
        features.extend({**row, "origin": case + row["origin"]} for row in known)

    collect()
    spine = [{"id": number, **row} for number, row in enumerate(spine)]
    joined = join(spark, spine, features)
    assert sorted(joined, key=lambda row: row["id"]) == brute_force(spine, features)
    assert sum(row["mean_delay"] is not None for row in joined) > 30


def join(spark: SparkSession, spine: Sequence[Row], features: Sequence[Row]) -> list[Row]:
    """Return the rows of the join as the engine gives them."""
    asked = spark.createDataFrame(pa.Table.from_pylist(list(spine), schema=SPINE_SCHEMA), _ddl(SPINE_SCHEMA))
    known = spark.createDataFrame(pa.Table.from_pylist(list(features), schema=FEATURE_SCHEMA), _ddl(FEATURE_SCHEMA))
    return point_in_time_join(asked, spine_time="at", lookups=[(LOOKUP, known)], buckets=4).toArrow().to_pylist()


def _ddl(schema: pa.Schema) -> str:
    names = {pa.int64(): "bigint", pa.int32(): "int", pa.string(): "string", pa.float64(): "double"}
    return ", ".join(f"{field.name} {names.get(field.type, 'timestamp')}" for field in schema)


@pytest.mark.proof_on_jvm
@pytest.mark.parametrize("engine", ["embedded_spark", pytest.param("jvm_spark", marks=pytest.mark.jvm)])
def test_an_empty_feature_table_and_an_empty_spine_are_joined(engine: str, request: pytest.FixtureRequest) -> None:
    """Without feature rows every input is missing; without rows of the spine there are no rows."""
    spark: SparkSession = request.getfixturevalue(engine)
    unknown = {"mean_delay": None, "flights_seen": None, "age": None}
    assert join(spark, [{"id": 1, **ASKED}], []) == [{"id": 1, **ASKED, **unknown}]
    assert join(spark, [], [feature(1)]) == []


def as_of_arrival(spine: Sequence[Row], features: Sequence[Row], wait: int) -> list[Row]:
    """Return what pandas joins of the rows that have arrived: its as-of join, on times that are moved by the latency."""
    asked = pd.DataFrame(list(spine), columns=["airport", "departure_hour", "at"]).reset_index(names="place")
    known = pd.DataFrame(list(features), columns=["origin", "hour", "known_at", "delay", "flights"])
    known["arrived"] = (pd.to_datetime(known["known_at"], utc=True) + pd.Timedelta(minutes=wait)).astype(
        "datetime64[us, UTC]"
    )
    asked["at"] = pd.to_datetime(asked["at"], utc=True).astype("datetime64[us, UTC]")
    joined = pd.merge_asof(
        asked.sort_values("at"), known.sort_values("arrived"), left_on="at", right_on="arrived",
        left_by=["airport", "departure_hour"], right_by=["origin", "hour"], allow_exact_matches=False,
    ).sort_values("place")  # fmt: skip
    age = (joined["at"] - joined["known_at"]) / pd.Timedelta(hours=1)
    found = age <= 2
    return [
        {
            **row,
            "mean_delay": None if not hit or pd.isna(delay) else delay,
            "flights_seen": None if not hit or pd.isna(flights) else int(flights),
            "age": hours if hit else None,
        }
        for row, hit, delay, flights, hours in zip(spine, found, joined["delay"], joined["flights"], age, strict=True)
    ]


@settings(max_examples=200)
@given(
    st.lists(st.fixed_dictionaries({"airport": AIRPORTS, "departure_hour": HOURS, "at": INSTANTS}), min_size=1, max_size=6),
    st.lists(
        st.fixed_dictionaries(
            {"origin": AIRPORTS, "hour": HOURS, "known_at": INSTANTS, "delay": st.sampled_from([-1.5, 7.25]),
             "flights": st.integers(0, 3)}
        ),
        min_size=1,
        max_size=12,
        unique_by=lambda row: (row["origin"], row["hour"], row["known_at"]),
    ),
    st.sampled_from([0, 1, 59, 60, 61, 119, 120, 121, 600]),
)  # fmt: skip
def test_rows_count_from_when_they_have_reached_their_table(spine: list[Row], features: list[Row], wait: int) -> None:
    """As pandas joins rows by the time of their arrival, whatever the latency; ages count from the row's own instant."""
    assert matched(spine, features, wait=wait) == as_of_arrival(spine, features, wait)


def test_a_row_that_has_not_arrived_leaves_the_one_before_it(embedded_spark: SparkSession) -> None:
    """On the engine too; of the same minute it has arrived at, it is not there yet."""
    spine = embedded_spark.createDataFrame(pa.Table.from_pylist([{"id": 1, **ASKED}], schema=SPINE_SCHEMA))
    rows = [feature(1.5, flights=1), feature(0.5, flights=2)]
    features = embedded_spark.createDataFrame(pa.Table.from_pylist(rows, schema=FEATURE_SCHEMA))
    for wait, flights in ((0, 2), (29, 2), (30, 1), (89, 1), (90, None)):
        joined = point_in_time_join(
            spine, spine_time="at", lookups=[(LOOKUP, features)], available_after={FEATURES.address: wait}, buckets=2
        )
        assert [row["flights_seen"] for row in joined.toArrow().to_pylist()] == [flights]


def test_a_feature_known_at_the_prediction_time_is_not_joined() -> None:
    """A feature known one microsecond earlier is joined."""
    assert matched([ASKED], [feature(0, flights=1)])[0]["flights_seen"] is None
    earlier = feature(0, flights=1, known_at=NOON - timedelta(microseconds=1))
    assert matched([ASKED], [earlier, feature(0, flights=2)])[0]["flights_seen"] == 1


def test_the_look_back_includes_its_bound() -> None:
    """A row two hours old is joined; one a microsecond older is not, and no older row replaces it."""
    assert matched([ASKED], [feature(2, flights=1)])[0] == {**ASKED, "mean_delay": None, "flights_seen": 1, "age": 2.0}
    too_old = feature(2, flights=1, known_at=NOON - timedelta(hours=2, microseconds=1))
    assert matched([ASKED], [too_old])[0]["age"] is None


def test_a_missing_key_or_time_joins_nothing() -> None:
    """Neither a feature row whose key is missing too, nor one from just before 1970, the value of a missing time."""
    assert matched([{**ASKED, "airport": None}], [feature(1, origin=None, flights=1)])[0]["flights_seen"] is None
    long_ago = feature(0, flights=1, known_at=datetime(1969, 12, 31, 23, tzinfo=UTC))
    assert matched([{**ASKED, "at": None}], [long_ago])[0]["flights_seen"] is None


def test_a_missing_value_is_not_filled_from_an_older_row() -> None:
    """The newest row is joined as a whole."""
    rows = [feature(1.5, delay=4.0, flights=1), feature(1, delay=None, flights=2)]
    assert matched([ASKED], rows)[0] == {**ASKED, "mean_delay": None, "flights_seen": 2, "age": 1.0}


def test_ties_are_settled_by_value_whatever_the_order_of_rows() -> None:
    """The row with the greatest looked-up columns is joined, compared in their order; missing is the smallest."""
    rows = [feature(1, delay=None, flights=9), feature(1, delay=2.0, flights=None), feature(1, delay=2.0, flights=1)]
    for shuffled in (rows, rows[::-1], [rows[1], rows[2], rows[0]]):
        found = matched([ASKED], shuffled)[0]
        assert (found["mean_delay"], found["flights_seen"]) == (2.0, 1)


def test_the_time_key_can_be_an_input() -> None:
    """Without `age_as` no age is added."""
    lookup = replace(LOOKUP, columns={"known_at": "seen_at"}, age_as=None)
    assert matched([ASKED], [feature(1)], lookup) == [{**ASKED, "seen_at": NOON - timedelta(hours=1)}]


def test_columns_that_cannot_be_joined_are_named_at_once(embedded_spark: SparkSession) -> None:
    """Keys of different types have different hashes: the join would match nothing, without an error."""
    spine = embedded_spark.createDataFrame([], "id bigint, airport string, departure_hour bigint, at date, age double")
    features = embedded_spark.createDataFrame([], "origin string, hour int, known_at timestamp, delays double")
    with pytest.raises(JoinError) as refused:
        point_in_time_join(spine, spine_time="at", lookups=[(LOOKUP, features)])
    for output in (
        "the spine's time 'at' is date, it must be a timestamp",
        "unknown column of tests_features.history 'delay': did you mean 'delays'?",
        "spine column 'departure_hour' is bigint, its counterpart tests_features.history.hour is int: cast one",
        "input 'age' of tests_features.history is already a column: give it another name",
    ):
        assert output in str(refused.value)


def test_several_lookups_are_joined_one_after_the_other(embedded_spark: SparkSession) -> None:
    """Each keeps all rows and columns of those before it, missing values included."""
    spine = embedded_spark.createDataFrame(
        pa.Table.from_pylist([{"id": 1, **ASKED}, {"id": 2, **ASKED, "airport": None}], schema=SPINE_SCHEMA)
    )
    features = embedded_spark.createDataFrame(pa.Table.from_pylist([feature(1, delay=3.0)], schema=FEATURE_SCHEMA))
    second = replace(LOOKUP, columns={"delay": "delay_again"}, age_as=None)
    joined = point_in_time_join(spine, spine_time="at", lookups=[(LOOKUP, features), (second, features)])
    rows = sorted(joined.toArrow().to_pylist(), key=lambda row: row["id"])
    assert [(row["mean_delay"], row["age"], row["delay_again"]) for row in rows] == [
        (3.0, 1.0, 3.0),
        (None, None, None),
    ]
