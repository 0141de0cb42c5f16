"""Runs in MLflow: what a training logs while it runs, and what a run logged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

if TYPE_CHECKING:  # drawn by ml, only passed on here
    from matplotlib.figure import Figure


FAILURE = "failure"
"""The tag of a run that failed, with the reason."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run logged: parameters as text, the last value of each metric, tags."""

    run_id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class Run:
    """A run in progress; `Models.start_run` gives it."""

    def __init__(self, client: MlflowClient, *, run_id: str, experiment_id: str) -> None:
        self._client = client
        self.run_id = run_id
        self.experiment_id = experiment_id

    def log(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Record parameters, metrics and tags in one call; values of parameters and tags are kept as text."""
        now = int(datetime.now(UTC).timestamp() * 1000)
        self._client.log_batch(
            self.run_id,
            metrics=[Metric(name, float(value), now, 0) for name, value in (metrics or {}).items()],
            params=[Param(name, str(value)) for name, value in (params or {}).items()],  # type: ignore[no-untyped-call]  # MLflow's own
            tags=[RunTag(name, str(value)) for name, value in (tags or {}).items()],  # type: ignore[no-untyped-call]  # MLflow's own
        )

    def log_figure(self, figure: "Figure", path: str) -> None:
        """Store a plot under the run's artifacts, for example as ``plots/roc.png``."""
        self._client.log_figure(self.run_id, figure, path)

    def log_text(self, text: str, path: str) -> None:
        """Store a text file under the run's artifacts."""
        self._client.log_text(self.run_id, text, path)
