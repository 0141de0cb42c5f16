"""One environment opened on one engine: a Spark session, its Delta tables and its models.

Start with `pipelines.lakehouse.lakehouse.open_lakehouse`. Which engines there are stands in `engines`; nothing outside
this package knows which one it runs on. What is computed from the tables lives in the tasks, not here.
"""

import os

# MLflow sends usage data to its makers, and decides on it when it is imported; a value set before stays.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# It draws a bar for each of the few small files of a model, between the lines of a job.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
