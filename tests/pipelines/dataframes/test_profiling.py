"""One pass over a Spark data frame gives the same profile as numpy: of the whole, by day and by slice."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 # the name Spark's own documentation uses

from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import CategoricalColumn, ProfileSpec
from ml.profiles.table_profile import Profile, empty, merge_all, profile
from pipelines.dataframes.profiling import _Profiler, profile_days, profile_frame, profile_frame_by, reference_spec

ROWS = 5_000
NUMERIC = ("number", "whole", "day", "at", "money")
CATEGORICAL = ("name", "flag", "code")
START = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def spark(embedded_spark: SparkSession) -> SparkSession:
    """A session on the embedded engine."""
    return embedded_spark


def table(rows: int = ROWS) -> pa.Table:
    """Return rows with every type, nulls, NaN and infinities; no row is on the third day."""
    random = np.random.default_rng(0)
    number = random.normal(size=rows)
    number[::50] = np.nan
    number[1::500] = np.inf
    holes = random.random(rows) < 0.1
    hours = random.integers(0, 24 * 6, rows)
    hours = np.where(hours // 24 == 2, 0, hours)
    at = [START + timedelta(hours=int(hour)) for hour in hours]
    return pa.table(
        {
            "number": pa.array(number, mask=holes),
            "whole": pa.array(random.integers(0, 300, rows), pa.int32(), mask=holes),
            "day": pa.array([moment.date() for moment in at], pa.date32()),
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            "money": pa.array([round(float(abs(x)), 2) if np.isfinite(x) else None for x in number], pa.float32()),
            "name": pa.array(random.choice(["a", "b", "c", "d"], rows), mask=holes),
            "flag": pa.array(random.random(rows) < 0.3, mask=holes),
            "code": pa.array(random.integers(1, 5, rows), pa.int64()),
            "slice": pa.array(random.choice(["x", "y", None], rows)),
        }
    )


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    """The rows, in several partitions."""
    return spark.createDataFrame(table()).repartition(4).cache()


@pytest.fixture(scope="module")
def spec(frame: DataFrame) -> ProfileSpec:
    """The specification from a sample of the rows."""
    return reference_spec(frame, numeric=NUMERIC, categorical=CATEGORICAL, seed=1, sample_rows=2_000)


def in_memory(spec: ProfileSpec, where: object = slice(None)) -> Profile:
    """Profile the same rows with pandas and numpy."""
    rows = table().to_pandas(date_as_object=True)[where]
    columns = {name: rows[name] for name in spec.names}
    columns["flag"] = rows["flag"].astype(object)
    columns["code"] = rows["code"].astype(str)
    nulls = table().column("number").is_null().to_numpy()[where]
    columns["number"] = rows["number"].astype(object).where(~nulls, None)
    return profile(columns, spec)


def assert_same(a: Profile, b: Profile) -> None:
    """Fail unless both profiles count the same and agree in the moments."""
    for name, one in a.columns.items():
        other = b.columns[name]
        assert one.counts.tolist() == other.counts.tolist(), name
        assert one.rows == other.rows, name
        assert one.missing == other.missing, name
        np.testing.assert_allclose([one.mean, one.m2], [other.mean, other.m2], rtol=1e-6)


def test_one_pass_gives_the_profile_of_numpy(frame: DataFrame, spec: ProfileSpec) -> None:
    """For every type, with rows in several partitions."""
    result = profile_frame(frame, spec)
    assert result.rows == ROWS
    assert_same(result, in_memory(spec))
    number = result.columns["number"]
    assert (number.nulls > 0, number.nans > 0, number.infinities > 0) == (True, True, True)


def test_the_profile_arrives_as_one_small_row_per_partition(spec: ProfileSpec) -> None:
    """A worker returns a partial profile of a few kilobytes, however many rows it reads."""
    (batch,) = list(_Profiler(spec, 0)(iter(table().select(list(spec.names)).to_batches(max_chunksize=500))))
    assert batch.num_rows == 1
    assert batch.nbytes < 20_000


def test_slices_are_profiled_in_the_same_pass_and_add_up(frame: DataFrame, spec: ProfileSpec) -> None:
    """A missing value is a slice of its own."""
    slices = profile_frame_by(frame, spec, ["slice"])
    assert set(slices) == {("x",), ("y",), (None,)}
    assert_same(slices["x",], in_memory(spec, (table().to_pandas()["slice"] == "x").to_numpy()))
    assert_same(merge_all(slices.values(), spec), profile_frame(frame, spec))


def test_several_keys_give_a_profile_for_each_combination_that_occurs(frame: DataFrame, spec: ProfileSpec) -> None:
    """Keys keep their types."""
    both = profile_frame_by(frame, spec, ["day", "slice"])
    assert (date(2013, 1, 1), "x") in both
    assert (date(2013, 1, 3), "x") not in both
    assert sum(one.rows for one in both.values()) == ROWS


def test_instants_among_the_keys_are_in_utc(frame: DataFrame, spec: ProfileSpec) -> None:
    """In any zone of the machine."""
    by_midnight = profile_frame_by(frame.withColumn("midnight", F.date_trunc("day", "at")), spec, ["midnight"])
    assert (START,) in by_midnight
    assert {key.utcoffset() for (key,) in by_midnight} == {timedelta(0)}


def test_days_come_in_order_and_without_gaps(frame: DataFrame, spec: ProfileSpec) -> None:
    """A day without rows has the empty profile."""
    days = profile_days(frame, spec, "at")
    assert len(days) == 6
    assert days[2] == empty(spec)
    assert_same(merge_all(days, spec), profile_frame(frame, spec))
    on_the_second = (pd.to_datetime(table().to_pandas()["at"]).dt.day == 2).to_numpy()
    assert_same(days[1], in_memory(spec, on_the_second))


def test_no_rows_give_the_empty_profile(frame: DataFrame, spec: ProfileSpec) -> None:
    """Of the whole; by slice and by day there is none."""
    nothing = frame.where("number > 1e9 and number < 1e10")
    assert profile_frame(nothing, spec) == empty(spec)
    assert profile_frame_by(nothing, spec, ["slice"]) == {}
    assert profile_days(nothing, spec, "at") == []


def test_a_specification_comes_from_a_seeded_sample(frame: DataFrame, spec: ProfileSpec) -> None:
    """Types are Spark's; kinds are as declared; a small table is sampled whole, with any seed."""
    assert [column.data_type for column in spec.columns] == [
        "double",
        "int",
        "date",
        "timestamp",
        "float",
        "string",
        "boolean",
        "bigint",
    ]
    assert [isinstance(column, NumericColumn) for column in spec.columns] == [True] * 5 + [False] * 3
    flag = spec.columns[6]
    assert isinstance(flag, CategoricalColumn)
    assert flag.categories == ("false", "true")
    whole = reference_spec(frame, numeric=["number"], categorical=[], seed=1)
    assert whole == reference_spec(frame, numeric=["number"], categorical=[], seed=2)


def test_all_missing_and_high_cardinality_columns_have_profiles(spark: SparkSession) -> None:
    """A column of nulls only, and a column in which nearly every row is its own category."""
    rows = pa.table(
        {
            "empty": pa.array([None] * 300, pa.float64()),
            "id": [f"id-{i}" for i in range(300)],
            "blank": pa.array([None] * 300, pa.string()),
        }
    )
    frame = spark.createDataFrame(rows)
    spec = reference_spec(frame, numeric=["empty"], categorical=["id", "blank"], seed=1, kept_categories=10)
    result = profile_frame(frame, spec)
    assert result.columns["empty"].nulls == 300
    assert result.columns["blank"].nulls == 300
    assert result.columns["id"].counts.tolist() == [1] * 10 + [290]


def test_a_missing_column_is_named_before_anything_runs(frame: DataFrame, spec: ProfileSpec) -> None:
    """For values, slices and specifications; the error lists the columns that exist."""
    with pytest.raises(ValueError, match=r"column whole, flag missing; the data frame has number,"):
        profile_frame(frame.drop("whole", "flag"), spec)
    with pytest.raises(ValueError, match="column month missing"):
        profile_frame_by(frame, spec, ["month"])
    with pytest.raises(ValueError, match="column nowhere missing"):
        reference_spec(frame, numeric=["nowhere"], categorical=[], seed=1)
