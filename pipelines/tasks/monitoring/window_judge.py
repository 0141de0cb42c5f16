"""What is wrong in a window: read what was measured and profiled in it, and ask the rules of `ml.monitoring`."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.finding_rules import window_findings
from ml.monitoring.findings import Finding, Window
from ml.monitoring.measurements import EvaluatedMetric, Measurement
from ml.profiles.table_profile import Profile
from pipelines.dataframes.training_rows import requests
from pipelines.execution.context import Context
from pipelines.execution.windows import window_of
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.arrow import in_utc
from pipelines.tasks.data.labels import live_predictions, made_live, predictions_in_hindsight
from pipelines.tasks.monitoring.monitored_champion import monitored_champion
from pipelines.tasks.versions.measured import EVALUATION, LAST_INSTANT
from pipelines.tasks.versions.promotion import EVALUATED_UNTIL
from pipelines.tasks.versions.reference import Reference


class WindowJudge:
    """Finds what is wrong in the windows of one run, by the champion's training rows and its evaluation."""

    def __init__(self, context: Context, windows: Sequence[Window], until: dt.datetime) -> None:
        self._context, self._until = context, until
        champion = monitored_champion(context)
        self.version = champion.number if champion else None
        self._reference = Reference.of(context, champion) if champion else None
        self._days = _days_scored(context, windows)
        self._unscored = _unscored(context, windows, until)
        metrics = context.lakehouse.tables.read(context.use_case.table("metrics"))
        judged = context.use_case.monitoring.metrics or (context.use_case.gate.metric,)
        self._metrics = metrics.where(F.col("metric").isin(*judged))
        evaluated = self._metrics.where((F.col("alias") == EVALUATION) & F.col("standard_error").isNotNull())
        self._evaluated = evaluated_metrics(evaluated.toArrow().to_pylist(), champion)

    def find(self, window: Window, known: Sequence[Finding]) -> tuple[Finding, ...]:
        """Return the findings of one window; `known` are earlier ones, which show since when."""
        rows = self._metrics.where((F.col("window_start") == F.lit(window.start)) & (F.col("alias") == CHAMPION))
        reference, current = self._reference, _profile(self._context, window, self.version) if self.version else None
        thresholds, measured = None, [_measurement(row) for row in rows.toArrow().to_pylist()]
        least = self._context.use_case.monitoring.minimum_rows
        if reference is not None and current is not None and current.rows >= least and window.end <= self._until:
            thresholds = reference.thresholds(self._context, days=self._days[window.start], rows=current.rows)
        return window_findings(
            window,
            measurements=measured,
            evaluated=self._evaluated,
            reference=reference.profile if reference else None,
            current=current,
            thresholds=thresholds,
            policy=self._context.use_case.monitoring,
            until=self._until,
            previous=known,
            unscored=self._unscored[window.start],
            champion=self.version,
            requests=None if measured else requests(self._context, window.start, min(window.end, self._until)).count(),
            in_hindsight=0 if measured else predictions_in_hindsight(self._context, window.start, window.end).count(),
        )


def _days_scored(context: Context, windows: Sequence[Window]) -> dict[dt.datetime, int]:
    """Return on how many days the champion predicted, by the start of the window."""
    scored = live_predictions(context, windows[0].start, windows[-1].end).where(F.col("alias") == CHAMPION)
    days = scored.select(F.to_date("prediction_at").alias("day")).distinct().toArrow()["day"].to_pylist()
    length = context.use_case.monitoring.window
    return Counter(window_of(dt.datetime.combine(day, dt.time(), dt.UTC), length).start for day in days)


def _unscored(context: Context, windows: Sequence[Window], until: dt.datetime) -> dict[dt.datetime, int]:
    """Return how many requests have no prediction of the champion, by the start of the window.

    Only those count that fell due since the champion's first live prediction and lie before scoring's look-back.
    """
    use_case, tables = context.use_case, context.lakehouse.tables
    scored = tables.read(use_case.table("predictions")).where(F.col("alias") == CHAMPION)
    first = scored.where(made_live()).agg(F.min("prediction_at").alias("first")).toArrow()["first"][0].as_py()
    begin = max(windows[0].start, in_utc(first)) if first else None
    end = min(windows[-1].end, until - dt.timedelta(days=use_case.scoring_look_back_days))
    if begin is None or begin >= end:
        return Counter()
    key, due = use_case.spine.request_key, use_case.spine.prediction_time
    missing = requests(context, begin, end).join(
        scored.select(F.col("request_key").alias(key)), on=key, how="left_anti"
    )
    per_day = (
        missing.groupBy(F.to_date(due).alias("day")).agg(F.count(F.lit(1)).alias("requests")).toArrow().to_pylist()
    )
    found: Counter[dt.datetime] = Counter()
    for row in per_day:
        day = dt.datetime.combine(row["day"], dt.time(), dt.UTC)
        found[window_of(day, use_case.monitoring.window).start] += row["requests"]
    return found


def evaluated_metrics(rows: Sequence[Mapping[str, Any]], champion: ModelVersion | None) -> list[EvaluatedMetric]:
    """Return what versions were measured at, the one that counts last where a version was evaluated several times.

    The evaluation that made the version champion counts: a champion is evaluated again with every candidate, and a
    delivered version may have been refused before. For a version that is not champion now, the first one counts.
    """
    until = champion.tags.get(EVALUATED_UNTIL) if champion else None
    promoted = dt.datetime.fromisoformat(until) + LAST_INSTANT if until else None

    def counts(row: Mapping[str, Any]) -> tuple[bool, float]:
        own = champion is not None and row["model_version"] == champion.number
        return own and in_utc(row["window_end"]) == promoted, -in_utc(row["window_start"]).timestamp()

    return [_evaluated_metric(row) for row in sorted(rows, key=counts)]


def _profile(context: Context, window: Window, version: int) -> Profile | None:
    """Return the profile of the rows scored in a window, if it was made with the champion's grid."""
    profiles = context.lakehouse.tables.read(context.use_case.table("profiles"))
    whole = profiles.where(
        (F.col("window_start") == F.lit(window.start))
        & (F.col("model_id") == str(version))
        & F.col("profile").isNotNull()
    )
    found = whole.select("profile").toArrow().to_pylist()
    return Profile.from_json(found[0]["profile"]) if found else None


def _measurement(row: Mapping[str, Any]) -> Measurement:
    names = Measurement.__dataclass_fields__
    # Rows that were measured before one of these columns existed have no number.
    counts = {name: row[name] or 0 for name in ("without_label", "assumed", "late_labels")}
    return Measurement(**{**{name: row[name] for name in names}, **counts})


def _evaluated_metric(row: Mapping[str, Any]) -> EvaluatedMetric:
    return EvaluatedMetric(**{name: row[name] for name in EvaluatedMetric.__dataclass_fields__})


def finding_of(row: Mapping[str, Any]) -> Finding:
    """Return the finding of a row of the findings table, with instants in UTC."""
    values: dict[str, Any] = {name: row[name] for name in Finding.__dataclass_fields__}
    instants = {name: in_utc(value) for name, value in values.items() if isinstance(value, dt.datetime)}
    return Finding(**{**values, **instants})
