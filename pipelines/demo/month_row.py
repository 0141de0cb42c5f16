"""One row of the table that the demonstration prints: the figures of one month in production."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.metrics.metric_labels import metric_label
from ml.monitoring.findings import ALL_ROWS, OF_A_DAY
from pipelines.declarations.use_case import UseCase
from pipelines.execution.runner import JobRun
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import BASELINE, CHAMPION

COLUMNS = (
    "month",
    "predictions",
    "no label yet",
    "champion",
    "{metric}",
    "never retrained",
    "findings",
    "retraining",
    "s",
)
WIDTHS = (8, 12, 13, 9, 8, 16, 9, 34, 6)


@dataclass(frozen=True, kw_only=True)
class MonthRow:
    """The figures of one month.

    Attributes
    ----------
    champion
        Version that made the month's predictions.
    score, baseline_score
        The gate's metric of the champion and of the model that was never retrained, on the labels that had arrived.
    retraining
        The result of a retraining, or why there was none.
    """

    month: dt.datetime
    predictions: int
    unlabelled: int
    champion: int
    score: float | None
    baseline_score: float | None
    findings: int
    retraining: str
    seconds: float

    @classmethod
    def of(
        cls, lakehouse: Lakehouse, use_case: UseCase, month: dt.datetime, runs: Sequence[JobRun], seconds: float
    ) -> "MonthRow":
        """Read the figures of a month from the monitoring tables."""
        tables = lakehouse.tables
        metrics = tables.read(use_case.table("metrics")).where(
            (F.col("window_start") == F.lit(month))
            & (F.col("slice_key") == ALL_ROWS)
            & (F.col("metric") == use_case.gate.metric)
        )
        by_alias = {row["alias"]: row for row in metrics.toArrow().to_pylist()}
        # What the daily alarm said about the month's first day is no judgement of the month.
        of_month = (F.col("window_start") == F.lit(month)) & ~F.col("kind").isin(*OF_A_DAY)
        findings = tables.read(use_case.table("findings")).where(of_month)
        live = by_alias[CHAMPION]
        return cls(
            month=month,
            predictions=live["predictions"],
            unlabelled=live["predictions"] - live["labelled"] - live["without_label"],
            champion=live["model_version"],
            score=live["value"],
            baseline_score=by_alias[BASELINE]["value"],
            findings=findings.count(),
            retraining=_retraining(runs),
            seconds=seconds,
        )

    @staticmethod
    def head(use_case: UseCase) -> str:
        """Return the head of the table, with the metric by which the use case's gate decides."""
        return _line([name.format(metric=metric_label(use_case.gate.metric)) for name in COLUMNS])

    def text(self) -> str:
        """Return the row under the head."""
        cells = (
            f"{self.month:%Y-%m}", f"{self.predictions:,}", f"{self.unlabelled:,}", f"v{self.champion}", _score(self.score),
            _score(self.baseline_score), str(self.findings), self.retraining, f"{self.seconds:.1f}",
        )  # fmt: skip
        return _line(cells)


def _retraining(runs: Sequence[JobRun]) -> str:
    monitoring = runs[-1]
    decided = monitoring.last["decide"].values
    if not monitoring.started:
        return "no" if decided["cause"] == "none" else f"no: {decided['cause']}, too soon"
    promoted = monitoring.started[0].last["promote"].values
    outcome = f"v{promoted['promoted']} promoted" if promoted["promoted"] else "champion stays"
    return f"{decided['cause']}: {outcome}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _line(cells: Sequence[str]) -> str:
    return " ".join(
        cell.ljust(w) if i in (0, 7) else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, WIDTHS, strict=True))
    )
