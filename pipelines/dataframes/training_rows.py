"""The rows a model learns from, is evaluated on or scores: spine, what was known at prediction time, inputs, labels."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

from ml.spec.weights import SAMPLE_WEIGHT, Weight
from pipelines.dataframes.point_in_time import point_in_time_join
from pipelines.declarations.asset import Table
from pipelines.declarations.feature_table import Lookup
from pipelines.execution.context import Context, TaskError
from pipelines.scoring.declared import scoring_function
from pipelines.scoring.function import PREDICTION_AT, REQUEST_KEY, ScoringFunction

RAW_WEIGHT = "weight_as_given"
FOR_EVER_HOURS = 24 * 365 * 50
"""A look-back of so many years bounds nothing, and may reach back to before an engine's calendar."""


def requests(context: Context, since: dt.datetime | None, until: dt.datetime) -> DataFrame:
    """Return the spine's rows whose prediction falls due in the window; without `since`, all before its end.

    A request that was moved has several rows: the newest one due before `until` is the request.
    """
    spine = context.use_case.spine
    due = F.col(spine.prediction_time)
    within = due < F.lit(until)
    if since is not None:
        within &= due >= F.lit(since)
    stored = context.lakehouse.tables.read(spine.table).where(within)
    return newest(stored, key=spine.request_key, time=spine.prediction_time)


def newest(rows: DataFrame, *, key: str, time: str) -> DataFrame:
    """Return one row for each key, the one with the greatest time.

    Few keys have several rows, so only these are looked up: a third of the time that a window function takes on
    336,776 requests of which none was moved.

    Parameters
    ----------
    rows
        No two rows have the same key and time.
    """
    last = "newest_time"
    several = rows.groupBy(key).agg(F.max(time).alias(last), F.count(F.lit(1)).alias("rows_of_key"))
    moved = several.where(F.col("rows_of_key") > 1).select(key, last)
    marked = rows.join(moved, on=key, how="left")
    return marked.where(F.col(last).isNull() | (F.col(time) == F.col(last))).select(*rows.columns)


def with_inputs(
    context: Context, rows: DataFrame, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> DataFrame:
    """Return ``request_key``, ``prediction_at`` and the inputs of each row of the spine, as known before prediction.

    What rows are clustered by is kept with the inputs. Other columns of the rows that are neither part of the spine nor an input are kept.

    Parameters
    ----------
    rows
        Rows of the spine.
    since, until
        The window in which all their predictions fall due, if it is known: feature rows that none of them can use
        are then not read.
    """
    use_case, function = context.use_case, scoring_function(context.use_case)
    joined = point_in_time_join(
        rows,
        spine_time=use_case.spine.prediction_time,
        lookups=[(lookup, _usable(context, lookup, since, until)) for lookup in use_case.lookups],
        available_after=context.use_case.available_after,
    )
    weight = use_case.weight
    weighted = weight is not None and (use_case.label_columns == ("label",) or weight.column in rows.columns)
    spine_columns = {column.name for column in use_case.spine.table.columns}
    others = [
        name for name in rows.columns
        if name not in (*spine_columns, *use_case.kept_columns, *use_case.label_columns[1:])
    ]  # fmt: skip
    built = _built(joined, function, others, (weight.column,) if weight and weighted else ())
    names: list[str | Column] = [*use_case.kept_columns]
    if weight and weighted:
        names.append(weight_of(F.col(RAW_WEIGHT), weight).alias(SAMPLE_WEIGHT))
    return built.select("request_key", "prediction_at", *others, *names)


def _built(joined: DataFrame, function: ScoringFunction, others: Sequence[str], weight: Sequence[str]) -> DataFrame:
    """Return the inputs of joined rows, by the scoring function's own code, batch by batch."""
    stay = (function.key, function.time, *others)
    made = (REQUEST_KEY, PREDICTION_AT, *others, *function.kept, *(RAW_WEIGHT for _ in weight))

    def build(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = function.with_inputs(pa.Table.from_batches([batch]), others=stay, numbers_too=weight)
            yield from rows.rename_columns(list(made)).combine_chunks().to_batches()

    types = {field.name: field.dataType for field in joined.schema}
    kinds = [*(types[name] for name in stay), *(DoubleType() for _ in function.numeric)]
    kinds += [StringType()] * (len(function.kept) - len(function.numeric)) + [DoubleType() for _ in weight]
    return joined.mapInArrow(build, StructType([StructField(*field) for field in zip(made, kinds, strict=True)]))


def weight_of(value: Column, weight: Weight) -> Column:
    """Return a row's weight; that of a row without one is as declared."""
    number = value.cast("double")
    return F.when(number.isNull() | F.isnan(number), F.lit(float(weight.missing))).otherwise(number)


def feature_ages(
    context: Context,
    rows: DataFrame,
    lookups: Mapping[str, Lookup],
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> DataFrame:
    """Return ``request_key`` and, for each lookup under its name, how many hours old the joined feature row was.

    Parameters
    ----------
    rows, since, until
        As of `with_inputs`.
    lookups
        Name of the column to the lookup.
    """
    spine = context.use_case.spine
    aged = [replace(lookup, columns={}, age_as=name) for name, lookup in lookups.items()]
    joined = point_in_time_join(
        rows.select(*dict.fromkeys((spine.request_key, spine.prediction_time, *_keys(lookups.values())))),
        spine_time=spine.prediction_time,
        lookups=[(lookup, _usable(context, lookup, since, until)) for lookup in aged],
        available_after=context.use_case.available_after,
    )
    return joined.select(F.col(spine.request_key).alias("request_key"), *lookups)


def _keys(lookups: Iterable[Lookup]) -> list[str]:
    return [key for lookup in lookups for key in lookup.keys]


def _usable(context: Context, lookup: Lookup, since: dt.datetime | None, until: dt.datetime | None) -> DataFrame:
    """Return the feature rows that a prediction of the window may use: known before its end, within the look-back."""
    require_shared(context, lookup.table)
    rows, known = context.lakehouse.tables.read(lookup.table), F.col(str(lookup.table.time_key))
    if until is not None:
        rows = rows.where(known < F.lit(until))
    if since is not None and lookup.lookback_hours < FOR_EVER_HOURS:
        rows = rows.where(known >= F.lit(since - dt.timedelta(hours=lookup.lookback_hours)))
    return rows


def require_shared(context: Context, table: Table) -> None:
    """Raise if a feature table that another use case shares was never written: every look-up would find nothing.

    Raises
    ------
    TaskError
        With the job of the owner that writes it.
    """
    if table.use_case != context.use_case.name and not context.lakehouse.tables.exists(table):
        raise TaskError(
            f"the shared feature table {table.address} of {table.use_case} was never written in "
            f"{context.lakehouse.environment.name}: run {table.use_case}.features there first."
        )


def sampled(key: Column, share: float, seed: int) -> Column:
    """Return whether a row belongs to a sample: drawn by its key, so the same rows on every engine and in every run."""
    places = 10_000
    drawn = F.crc32(F.concat(F.lit(f"{seed}:"), key)) % F.lit(places)
    return drawn < F.lit(round(share * places))


def versions_read(context: Context, tables: Iterable[Table]) -> str:
    """Return the versions of the given tables that were last read, as JSON by address."""
    read = context.lakehouse.tables.versions_read
    return json.dumps({table.address: read[table.address] for table in tables if table.address in read}, sort_keys=True)


def feature_tables(context: Context) -> list[Table]:
    """Return the feature tables that inputs are looked up in."""
    return [lookup.table for lookup in context.use_case.lookups]
