"""Publishes feature tables to the online store, and measures how far the store is behind them.

Locally the store is `pipelines.online.local_postgres`. On Databricks it is the Online Feature Store: there a pipeline of the
platform carries the rows (``publish_table`` with the mode ``TRIGGERED``), see
https://docs.databricks.com/aws/en/machine-learning/feature-store/online-feature-store.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.execution.context import Context
from pipelines.online.publishing import BEGINNING, Publication, by_table, publish, published_until
from pipelines.scoring.declared import feature_lookups
from pipelines.scoring.function import FeatureLookup

NEWEST = "newest"


@dataclass(frozen=True, kw_only=True)
class StoredFeatures:
    """The rows of a feature table, as a publication asks for them."""

    rows: DataFrame
    lookup: FeatureLookup

    def newest(self, since: dt.datetime, before: dt.datetime, keys: pa.Table | None = None) -> pa.Table:
        """Return of each entity, or of some, the newest row with ``since <= time < before``."""
        names, own = list(self.lookup.keys.values()), F.col(self.lookup.time)
        found = self.rows.where(own < F.lit(before))
        if since > BEGINNING:
            found = found.where(own >= F.lit(since))
        if keys is not None:
            found = found.join(self.rows.sparkSession.createDataFrame(keys), on=names, how="left_semi")
        values = [name for name in self.lookup.kinds if name not in (*names, self.lookup.time)]
        # A feature table has one row for each entity and instant, so the instant alone decides.
        newest = found.groupBy(*names).agg(F.max(F.struct(self.lookup.time, *values)).alias(NEWEST))
        return newest.select(
            *(F.col(n if n in names else f"{NEWEST}.{n}").alias(n) for n in self.lookup.kinds)
        ).toArrow()


def published_tables(context: Context) -> list[FeatureLookup]:
    """Return each feature table that a prediction looks up, with all of its columns that are read."""
    return by_table(feature_lookups(context.use_case), dataclasses.replace)


@dataclass(frozen=True, kw_only=True)
class FeatureSnapshot:
    """The feature tables that predictions look up, as they were when they were read.

    Attributes
    ----------
    changes
        Feature table to its changes, each with the earliest instant of its rows.
    """

    tables: tuple[StoredFeatures, ...]
    changes: Mapping[str, Mapping[str, dt.datetime]]

    def publish(self, connection: Any, *, until: dt.datetime) -> list[Publication]:
        """Publish what requests from an instant on may use, table by table; `connection` is of psycopg, to the store."""
        return [
            publish(connection, rows.lookup, rows, changes=self.changes[rows.lookup.table], until=until)
            for rows in self.tables
        ]


def feature_snapshot(context: Context) -> FeatureSnapshot:
    """Return the feature tables as they are now, to be published up to one instant or to several."""
    tables = context.lakehouse.tables
    refreshed = tables.read(context.use_case.table("refreshes")).toArrow().to_pylist()
    by_address = {table.address: table for table in context.use_case.feature_tables}
    stored, changes = [], {}
    for lookup in published_tables(context):
        table = by_address[lookup.table]
        stored.append(StoredFeatures(rows=tables.read(table), lookup=lookup))
        # What a refresh has changed is known to the table's owner alone: a new version of another's is published whole.
        changes[lookup.table] = (
            {row["batch_id"]: row["since"] for row in refreshed if row["feature_table"] == lookup.table}
            if table.use_case == context.use_case.name
            else {f"version {tables.version(table)}": BEGINNING}
        )
    return FeatureSnapshot(tables=tuple(stored), changes=changes)


def publish_features(context: Context, connection: Any, *, until: dt.datetime | None = None) -> list[Publication]:
    """Publish what requests from an instant on may use, table by table.

    Parameters
    ----------
    connection
        Of psycopg, to the store.
    until
        By default the beginning of the run.
    """
    return feature_snapshot(context).publish(connection, until=until or context.now)


@dataclass(frozen=True, kw_only=True)
class Lag:
    """How far the online store is behind one feature table.

    Attributes
    ----------
    hours
        From the end of what is published to the newest feature row that a request could use; 0 if all is published, None if
        nothing is.
    waiting
        Feature rows that are not published.
    """

    table: str
    hours: float | None
    waiting: int

    @property
    def sentence(self) -> str:
        """What was measured, in one sentence."""
        if self.hours is None:
            return f"{self.table} was never published to the online store: {self.waiting:,} rows wait."
        if not self.waiting:
            return f"{self.table} is published whole."
        return f"{self.table}: the online store is {self.hours:.1f} hours behind, {self.waiting:,} rows wait."


def lags(context: Context, connection: Any, *, at: dt.datetime) -> list[Lag]:
    """Return how far the store is behind each feature table at an instant; one look at the rows that are not published."""
    by_address = {table.address: table for table in context.use_case.feature_tables}
    found = []
    lookups = published_tables(context)
    for lookup, until in zip(lookups, published_until(connection, lookups).values(), strict=True):
        end, own = at - dt.timedelta(minutes=lookup.available_after_minutes), F.col(lookup.time)
        waiting = context.lakehouse.tables.read(by_address[lookup.table]).where(own < F.lit(end))
        if until is not None:
            waiting = waiting.where(own >= F.lit(until))
        seen = waiting.agg(F.count(F.lit(1)).alias("rows"), F.max(own).alias("newest")).toArrow().to_pylist()[0]
        behind = None if until is None else (seen["newest"] - until).total_seconds() / 3600 if seen["rows"] else 0.0
        found.append(Lag(table=lookup.table, hours=behind, waiting=seen["rows"]))
    return found
