"""Keeps the log lines of MLflow and Spark out of those of a job."""

import logging

MLFLOW_LEVELS = {
    "mlflow": logging.WARNING,
    "alembic": logging.WARNING,
    "mlflow.types.type_hints": logging.ERROR,  # of its own wrapper's hints
    "mlflow.utils.requirements_utils": logging.ERROR,  # of each other package version: `registry.model_files` says what counts
    "mlflow.utils.environment": logging.ERROR,  # it warns of every virtual environment without pip, as uv makes them
}
SPARK_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
"""These print an error's stack of the server beside the exception that already carries its message."""


def quiet_spark() -> None:
    """Leave what a failed query has to say to its exception."""
    for name in SPARK_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def quiet_mlflow() -> None:
    """Let only MLflow's warnings through; to be called after its import, which sets levels of its own."""
    for name, level in MLFLOW_LEVELS.items():
        logging.getLogger(name).setLevel(level)
