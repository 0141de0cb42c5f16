"""The DDL of declared tables, and tables in a catalog as far as Spark can run it without Databricks."""

from dataclasses import replace

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from pipelines.declarations.asset import Column, Layer, Table
from pipelines.declarations.registry import use_cases
from pipelines.lakehouse.tables.arrow import arrow_schema
from pipelines.lakehouse.tables.delta_sql import DeltaSql
from pipelines.lakehouse.tables.store import RowFacts
from pipelines.lakehouse.tables.table_schemas import SchemaMismatchError, ddl, require_fit, spark_type
from pipelines.lakehouse.tables.tables import Tables


def test_a_feature_table_is_created_with_its_time_series_key(sensors: Table) -> None:
    """The statement has what Unity Catalog needs to treat the table as a feature table."""
    quoted = replace(sensors, comment="a 'quoted' \\ word")
    assert ddl(quoted, "dev") == (
        "CREATE TABLE IF NOT EXISTS `dev`.`tests_features`.`sensors` (\n"
        "  `sensor` STRING NOT NULL COMMENT 'the sensor\\'s name',\n"
        "  `known_at` TIMESTAMP NOT NULL,\n"
        "  `active` BOOLEAN,\n"
        "  `floor` INT,\n"
        "  `serial` BIGINT,\n"
        "  `value` DOUBLE,\n"
        "  `installed_on` DATE,\n"
        "  CONSTRAINT `sensors_key` PRIMARY KEY (`sensor`, `known_at` TIMESERIES)\n"
        ")\n"
        "USING DELTA\n"
        "COMMENT 'a \\'quoted\\' \\\\ word'\n"
        "TBLPROPERTIES ('delta.enableDeletionVectors' = 'false', 'delta.isolationLevel' = 'Serializable')"
    )


def test_a_table_without_a_time_key_has_a_plain_key_and_one_without_key_none(sensors: Table) -> None:
    """The statement has no key that is not declared."""
    plain = ddl(replace(sensors, time_key=None), "dev")
    assert "PRIMARY KEY (`sensor`)" in plain
    assert "CONSTRAINT" not in ddl(replace(sensors, time_key=None, primary_key=()), "dev")


@pytest.mark.parametrize("table", [table for case in use_cases() for table in case.tables], ids=lambda t: t.address)
def test_every_declared_table_has_a_statement_and_a_schema(table: Table) -> None:
    """Both have its columns in their order; the statement has its name."""
    statement = ddl(table, "prod")
    assert f"`prod`.`{table.schema}`.`{table.name}`" in statement
    assert [line.split("`")[1] for line in statement.splitlines()[1:] if line.startswith("  `")] == [
        column.name for column in table.columns
    ]
    assert ("TIMESERIES" in statement) == table.is_feature_table
    assert [spark_type(field.type) for field in arrow_schema(table)] == [column.type for column in table.columns]


def test_types_without_a_counterpart_keep_their_own_name() -> None:
    """So an error can name the type that it found."""
    assert spark_type(pa.float32()) == "float"
    assert spark_type(pa.large_string()) == spark_type(pa.dictionary(pa.int8(), pa.string())) == "string"
    assert spark_type(pa.timestamp("ns")) == spark_type(pa.timestamp("s", "UTC")) == "timestamp"
    assert spark_type(pa.null()) == "void"


def test_a_column_that_stands_twice_is_refused(sensors: Table) -> None:
    """The error names the column and how often it occurs."""
    columns = tuple((column.name, column.type) for column in sensors.columns)
    with pytest.raises(SchemaMismatchError, match="column 'floor' stands 2 times"):
        require_fit(sensors, RowFacts(columns=(*columns, ("floor", "int")), rows=0))


@pytest.mark.proof
@pytest.mark.jvm
def test_tables_are_kept_under_their_catalog_name(jvm_spark: SparkSession) -> None:
    """The statements for Unity Catalog run on Spark's own catalog, without the primary key."""
    table = Table(
        use_case="tests", layer=Layer.MONITORING, name="notes", comment="what was noted",
        columns=(Column(name="note", type="string", nullable=False, comment="its text"), Column(name="n", type="int")),
    )  # fmt: skip
    jvm_spark.sql(f"CREATE SCHEMA IF NOT EXISTS spark_catalog.{table.schema}")
    tables = Tables(jvm_spark, DeltaSql.in_catalog(jvm_spark, "spark_catalog"))
    assert tables.read(table).count() == 0
    rows = pa.table({"note": ["a", "b"], "n": pa.array([1, None], pa.int32())})
    assert [tables.append_once(table, rows, batch_id="one").skipped for _ in range(2)] == [False, True]
    found = tables.read(table).orderBy("note").collect()
    assert [tuple(row) for row in found] == [("a", 1), ("b", None)]
    described = jvm_spark.sql(f"DESCRIBE TABLE EXTENDED spark_catalog.{table.schema}.notes").collect()
    assert {row["data_type"] for row in described if row["col_name"] == "Comment"} == {"what was noted"}
    assert [commit.batch_id for commit in tables.history(table)] == ["one", None]
