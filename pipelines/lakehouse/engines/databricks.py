"""The Databricks engine: the session of the cluster or serverless compute that runs this code."""

from pyspark.sql import SparkSession

from pipelines.lakehouse.engines.quiet import quiet_spark
from pipelines.lakehouse.engines.unavailable import EngineUnavailableError


def session() -> SparkSession:
    """Return the session that the platform provides, with times in UTC as on the local engines.

    Raises
    ------
    EngineUnavailableError
        If this process does not run on Databricks and no Databricks Connect configuration is found.
    """
    spark = SparkSession.getActiveSession() or _connect()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    quiet_spark()
    return spark


def _connect() -> SparkSession:
    try:
        from databricks.connect import DatabricksSession  # type: ignore[import-untyped]  # ships no types
    except ImportError:
        raise EngineUnavailableError(
            "engine 'databricks' needs the session of a Databricks cluster, and this process has none: run the job "
            "there, install databricks-connect, or use --engine embedded."
        ) from None
    spark: SparkSession = DatabricksSession.builder.getOrCreate()
    return spark
