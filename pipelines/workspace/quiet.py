"""Makes MLflow quiet: no usage data leaves the process, no log lines of its own between those of a job."""

import logging
import os

LEVELS = {
    "mlflow": logging.WARNING,
    "alembic": logging.WARNING,
    "mlflow.utils.environment": logging.ERROR,  # it warns of every virtual environment without pip, as uv makes them
}


def quiet_mlflow() -> None:
    """Import MLflow with its telemetry off and let only its warnings through; what the user set before stays."""
    # Both are read when MLflow is imported. A machine without git is no mistake.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow  # noqa: F401 - its import sets levels, so ours come after

    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
