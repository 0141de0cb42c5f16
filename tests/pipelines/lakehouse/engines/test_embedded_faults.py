"""Silent faults of the embedded engine: the reasons why it does not write tables itself.

If a test here fails, the fault is gone, and the code that guards against it can be removed.
"""

from pathlib import Path

import pytest
from pyspark.errors.exceptions.connect import SparkConnectException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - its usual name


def test_an_undeclared_column_is_dropped_on_append(embedded_spark: SparkSession, tmp_path: Path) -> None:
    """`pipelines.lakehouse.tables.table_schemas` compares the columns before each write."""
    place = str(tmp_path / "table")
    embedded_spark.range(2).write.format("delta").save(place)
    wider = embedded_spark.range(2).withColumn("colour", F.lit("red"))
    wider.write.format("delta").mode("append").option("mergeSchema", "true").save(place)
    assert embedded_spark.read.format("delta").load(place).columns == ["id"]


def test_transaction_marks_are_ignored(embedded_spark: SparkSession, tmp_path: Path) -> None:
    """`pipelines.lakehouse.tables.delta_files` appends with `deltalake`, which writes and reads them."""
    place = str(tmp_path / "table")
    for _ in range(3):
        writer = embedded_spark.range(2).write.format("delta").mode("append")
        writer.option("txnAppId", "batch").option("txnVersion", 1).save(place)
    assert embedded_spark.read.format("delta").load(place).count() == 6


def test_a_dynamic_partition_overwrite_empties_the_table(embedded_spark: SparkSession, tmp_path: Path) -> None:
    """`Tables.overwrite_window` states the range it replaces."""
    place = str(tmp_path / "table")
    days = embedded_spark.range(4).withColumn("day", F.col("id"))
    days.write.format("delta").partitionBy("day").save(place)
    writer = days.where("day = 1").write.format("delta").mode("overwrite").partitionBy("day")
    writer.option("partitionOverwriteMode", "dynamic").save(place)
    assert embedded_spark.read.format("delta").load(place).count() == 1


def test_cogrouped_rows_may_hold_no_missing_value(embedded_spark: SparkSession) -> None:
    """`pipelines.dataframes.point_in_time` packs each row into one struct."""
    holed = embedded_spark.range(3).selectExpr("id", "if(id = 1, null, 1.0D) AS value")
    grouped = holed.groupBy("id").cogroup(embedded_spark.range(3).groupBy("id"))
    with pytest.raises(SparkConnectException, match="unmasked nulls for non-nullable"):
        grouped.applyInArrow(lambda left, _: left, schema="id bigint, value double").collect()
