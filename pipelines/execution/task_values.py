"""Hands what a task found to the tasks after it, on a platform that runs each task by itself."""

from collections.abc import Mapping

from pipelines.lakehouse.lakehouse import Lakehouse


def hand_on(lakehouse: Lakehouse, values: Mapping[str, str]) -> None:
    """Set the values of a deployed task; on a laptop the runner keeps them, and there is nothing to do."""
    if lakehouse.engine != "databricks":
        return
    from databricks.sdk.runtime import dbutils

    for name, value in values.items():
        dbutils.jobs.taskValues.set(key=name, value=value)
