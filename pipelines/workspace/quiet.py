"""Makes MLflow and Spark quiet: no usage data leaves the process, no log lines of theirs between those of a job."""

import logging
import os

MLFLOW_LEVELS = {
    "mlflow": logging.WARNING,
    "alembic": logging.WARNING,
    "mlflow.utils.environment": logging.ERROR,  # it warns of every virtual environment without pip, as uv makes them
}
SPARK_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
"""These print an error's stack of the server beside the exception that already carries its message."""


def quiet_spark() -> None:
    """Leave what a failed query has to say to its exception."""
    for name in SPARK_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def quiet_mlflow() -> None:
    """Import MLflow with its telemetry off and let only its warnings through; what the user set before stays."""
    # Both are read when MLflow is imported. A machine without git is no mistake.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow  # noqa: F401 - its import sets levels, so ours come after

    for name, level in MLFLOW_LEVELS.items():
        logging.getLogger(name).setLevel(level)
