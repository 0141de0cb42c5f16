"""The engines on which an environment opens: embedded, JVM Spark, Databricks."""
