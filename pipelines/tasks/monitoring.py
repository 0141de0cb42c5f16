"""Tasks of the monitoring job: measure what has labels, profile what was scored, decide about a retraining.

Each works on the windows (months, unless the policy says weeks or days) that the run touches; labels that arrive late
are counted in their own window by the next run. Pure functions of `ml` decide what is a finding and which findings cause a retraining.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.labels.maturity import OutcomeState
from ml.metrics.clusters import units_of
from ml.metrics.days import days_of
from ml.monitoring.finding_rules import window_findings
from ml.monitoring.findings import ALL_ROWS, OF_OTHER_TASKS, Finding, FindingKind, Window
from ml.monitoring.findings_history import findings_changes, measurement_changes
from ml.monitoring.measurements import EvaluatedMetric, Measurement
from ml.monitoring.profile_tables import drift_rows, profile_rows
from ml.monitoring.retraining_decision import RetrainingDecision, decide_retraining
from ml.monitoring.window_metrics import Predictions
from ml.profiles.table_profile import Profile
from pipelines.dataframes.profiling import profile_frame_by
from pipelines.dataframes.scoring import scores_in
from pipelines.dataframes.training_rows import requests
from pipelines.declarations.standard_jobs.delivery import DELIVERY
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.execution.runner import State
from pipelines.execution.windows import granularity, window_before, window_label, window_of, windows_to_monitor
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.arrow import in_utc, records, to_pandas
from pipelines.tasks import row_limits
from pipelines.tasks.fitting import metric_weights
from pipelines.tasks.labels import live_predictions, predictions_with_labels
from pipelines.tasks.measured import EVALUATION, LAST_INSTANT, measured_rows
from pipelines.tasks.model_card import write_model_cards
from pipelines.tasks.monitored_champion import monitored_champion
from pipelines.tasks.promotion import EVALUATED_UNTIL
from pipelines.tasks.reference import Reference
from pipelines.tasks.serving import serve
from pipelines.tasks.stream_lag import note_lag
from pipelines.tasks.summarised_monitoring import summarised_rows

UNENDED = (State.RUNNING.value, State.INTERRUPTED.value)
"""The states of a task that a run has begun and not ended by itself."""


def measure(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Join the labels that are due to the predictions; metrics per window, alias, model version and slice."""
    end = context.end_of_window(since, until)
    windows = _windows(context, since, end)
    count = live_predictions(context, windows[0].start, end).count()
    if not count and not (since is None and until is None):
        _require_predictions(context, windows[0].start, end)
    limit = row_limits.EXACT_ROWS
    if count > limit:
        context.say(f"{count:,} predictions, more than {limit:,}: measured from summaries")
        rows = summarised_rows(context, windows, end, count)
    else:
        rows = _exact_rows(context, windows, end)
    written = _store(context, "metrics", rows, windows, end)
    for window in windows:
        context.say(_progress(window_label(window.start, context.use_case.monitoring.window), window, rows))
    return TaskResult(rows=written)


def _require_predictions(context: Context, since: dt.datetime, until: dt.datetime) -> None:
    """Raise where a person named a window and nothing was ever scored, or not in it and no champion should have."""
    predictions = context.lakehouse.tables.read(context.use_case.table("predictions"))
    span = predictions.agg(F.min("prediction_at").alias("first"), F.max("prediction_at").alias("last")).toArrow()
    first, last = (span[name][0].as_py() for name in ("first", "last"))
    window = f"no prediction of {context.use_case.name} lies in the window from {since:%Y-%m-%d} to {until:%Y-%m-%d}"
    if first is None:
        raise TaskError(f"{window}, nor in any other: run {context.use_case.job('scoring').address} first.")
    if until <= in_utc(first):
        raise TaskError(
            f"{window}; there are predictions from {first:%Y-%m-%d} to {last:%Y-%m-%d}: name the end of the window, for "
            f"example --param until={last + dt.timedelta(days=1):%Y-%m-%d}."
        )


def _exact_rows(context: Context, windows: Sequence[Window], end: dt.datetime) -> list[dict[str, Any]]:
    """Return the rows of the metrics table, measured on the predictions themselves."""
    kept = tuple(dict.fromkeys((*context.use_case.slices, *context.use_case.clusters.columns)))
    frame = to_pandas(predictions_with_labels(context, windows[0].start, end, inputs=kept))
    # In one order, whatever the engine's: a sum of floating-point numbers depends on it.
    frame = frame.sort_values(["prediction_at", "request_key", "alias"], ignore_index=True)
    rows: list[dict[str, Any]] = []
    for window in windows:
        within = frame[(frame["prediction_at"] >= window.start) & (frame["prediction_at"] < window.end)]
        for (alias, version), part in within.groupby(["alias", "model_version"]):
            rows += measured_rows(context, _as_predictions(context, part), window, str(alias), int(str(version)))
    return rows


def detect_drift(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Profile what the champion scored, per window, and compare it with its training rows and the window before."""
    end = context.end_of_window(since, until)
    windows = _windows(context, since, end)
    champion = monitored_champion(context)
    if champion is None:
        context.say("no champion: there is nothing to compare with")
        return TaskResult(rows=0)
    reference = Reference.of(context, champion)
    length = context.use_case.monitoring.window
    scored = live_predictions(context, window_before(windows[0], length).start, end).where(F.col("alias") == CHAMPION)
    profiles = profile_frame_by(
        scored.withColumn("window", F.date_trunc(length, "prediction_at")), reference.spec, ["window"]
    )
    by_start = {in_utc(start): profile for (start,), profile in profiles.items()}
    profiled: list[dict[str, Any]] = []
    drifted: list[dict[str, Any]] = []
    for window in windows:
        earlier = window_before(window, length)
        current, before = by_start.get(window.start), by_start.get(earlier.start)
        if current is None:
            continue
        where: dict[str, Any] = {"granularity": granularity(length), "model_id": str(champion.number)}
        profiled += profile_rows(window, current, **where)
        drifted += drift_rows(window, current, reference.profile, reference.window, drift_type="BASELINE", **where)
        if before is not None:
            drifted += drift_rows(window, current, before, earlier, drift_type="CONSECUTIVE", **where)
    table = context.use_case.table("profiles")
    context.lakehouse.tables.merge(table, records(table, [{**row, "computed_at": context.now} for row in profiled]))
    _store(context, "drift", [{**row, "computed_at": context.now} for row in drifted], windows, end)
    return TaskResult(rows=len(profiled) + len(drifted))


def decide(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Turn measurements into findings, window by window, and those of the last one that has ended into a decision."""
    end = context.end_of_window(since, until)
    windows = _windows(context, since, end)
    use_case, tables = context.use_case, context.lakehouse.tables
    findings, history = use_case.table("findings"), use_case.table("findings_history")
    every = [finding_of(row) for row in tables.read(findings).toArrow().to_pylist()]
    stored = [finding for finding in every if finding.kind not in OF_OTHER_TASKS]
    known = [finding for finding in stored if finding.window_start < windows[0].start]
    judge = _Judge(context, windows, end)
    found: dict[Window, tuple[Finding, ...]] = {}
    for window in windows:
        found[window] = judge.find(window, known)
        known += found[window]
    before = [finding for finding in stored if windows[0].start <= finding.window_start < windows[-1].end]
    changes = findings_changes(before, [f for window in windows for f in found[window]], recorded_at=end)
    tables.merge(history, records(history, changes))
    # All windows by one commit: a decision that is cut off leaves the findings of the one before.
    others = [f for f in every if f.kind in OF_OTHER_TASKS and windows[0].start <= f.window_start < windows[-1].end]
    kept = [*others, *(finding for window in windows for finding in found[window])]
    tables.overwrite_window(
        findings, records(findings, [finding.as_row() for finding in kept]),
        column="window_start", start=windows[0].start, end=windows[-1].end,
    )  # fmt: skip
    if use_case.streaming:  # a stream that does not run cannot say that it lags
        note_lag(context, CHAMPION, end)
    complete = [window for window in windows if window.end <= end]
    ended = found[complete[-1]] if complete else ()
    # Outcomes that take long are due long after their month: until then an earlier month is the newest one judged.
    judged = [window for window in complete if _is_due(context, window, end)]
    if judged and judged[-1] != complete[-1]:
        ended += tuple(finding for finding in found[judged[-1]] if finding.kind == FindingKind.METRIC_FELL)
    running = found[windows[-1]] if windows[-1].end > end else ()
    for finding in (*ended, *running):
        context.say(f"finding: {finding.message}")
    decision = _decision(context, ended, known, champion=judge.version, end=end)
    context.say(f"retrain: {'yes' if decision.retrain else 'no'}, cause {decision.cause}")
    trained_here = context.lakehouse.environment.name in use_case.trained_in
    return TaskResult(
        rows=len(ended) + len(running),
        values={
            "retrain": str(decision.retrain).lower(),
            "cause": decision.cause,
            "trained_here": str(trained_here).lower(),
        },
    )


def _store(
    context: Context, name: str, rows: Sequence[Mapping[str, Any]], windows: Sequence[Window], end: dt.datetime
) -> int:
    """Bring measurements into their table, and what is new or differs into its history first; return the rows written.

    The history is written first: a run that is cut off between the two repeats the same rows.
    """
    tables, table, history = (
        context.lakehouse.tables, context.use_case.table(name), context.use_case.table(f"{name}_history"),
    )  # fmt: skip
    start = F.col("window_start")
    stored = tables.read(table).where((start >= F.lit(windows[0].start)) & (start < F.lit(windows[-1].end)))
    before = [
        {column: in_utc(value) if isinstance(value, dt.datetime) else value for column, value in row.items()}
        for row in stored.toArrow().to_pylist()
    ]
    changes = measurement_changes(before, rows, key=table.primary_key, recorded_at=end)
    tables.merge(history, records(history, changes))
    return int(tables.merge(table, records(table, rows)).rows)


def _is_due(context: Context, window: Window, until: dt.datetime) -> bool:
    """Return whether enough of a window is due for its metrics to be judged, if predictions are spread evenly."""
    due = until - dt.timedelta(days=context.use_case.label_due_days) - window.start
    return due >= context.use_case.monitoring.minimum_settled * (window.end - window.start)


def _decision(
    context: Context, ended: Sequence[Finding], known: Sequence[Finding], *, champion: int | None, end: dt.datetime
) -> RetrainingDecision:
    """Decide about a retraining and record the decision.

    A recorded decision to retrain is never replaced, because the cooldown starts at it. If the run that made it, or the
    run after one that was cut off before its retraining ended, repeats the task, it returns that decision; another run
    of the same instant decides that it is too soon. A run whose retraining had moved the champion has retrained: what it
    still had to do after that is done here.
    """
    tables, retrainings = context.lakehouse.tables, context.use_case.table("retrainings")
    past = {in_utc(row["decided_at"]): row for row in tables.read(retrainings).where("retrain").toArrow().to_pylist()}
    recorded, cut_off = past.get(end), _cut_off(context)
    promoted = _promoted(context, cut_off, champion)
    cut_off -= promoted
    if recorded is not None and recorded["run_id"] in promoted:
        context.say(f"the run {recorded['run_id']} had retrained and promoted version {champion} before it was cut off")
        unfinished = replace(context, run_id=recorded["run_id"])
        write_model_cards(unfinished)
        serve(unfinished)
    if recorded is not None and recorded["run_id"] in {context.run_id, *cut_off}:
        tables.merge(retrainings, records(retrainings, [{**recorded, "decided_at": end, "run_id": context.run_id}]))
        return RetrainingDecision(retrain=True, cause=recorded["cause"], reasons=tuple(json.loads(recorded["reasons"])))
    retrained = [instant for instant, row in past.items() if row["run_id"] not in cut_off]
    policy = context.use_case.retraining
    decision = decide_retraining(ended, known, champion=champion, retrained_at=retrained, now=end, policy=policy)
    if recorded is None:
        record = {
            "decided_at": end, "retrain": decision.retrain, "cause": decision.cause,
            "reasons": json.dumps(decision.reasons), "run_id": context.run_id,
        }  # fmt: skip
        tables.merge(retrainings, records(retrainings, [record]))
    return decision


def _cut_off(context: Context) -> set[str]:
    """Return the runs that were killed or interrupted before the training or delivery that they started had ended."""
    runs = context.lakehouse.tables.read(context.use_case.table("runs")).where(F.col("run_id") != context.run_id)
    rows = runs.select("run_id", "job", "state").distinct().toArrow().to_pylist()
    started = {job.address for job in context.use_case.jobs if job.name in ("training", DELIVERY)}
    ended = {row["run_id"] for row in rows if row["job"] in started and row["state"] not in UNENDED}
    return {row["run_id"] for row in rows if row["state"] in UNENDED} - ended


def _promoted(context: Context, runs: Collection[str], champion: int | None) -> set[str]:
    """Return which of the runs have made the present champion."""
    if not runs or champion is None:
        return set()
    verdicts = context.lakehouse.tables.read(context.use_case.table("verdicts"))
    made = verdicts.where(F.col("evaluation_id").isin(*runs) & (F.col("promoted") == champion))
    return {row["evaluation_id"] for row in made.select("evaluation_id").toArrow().to_pylist()}


class _Judge:
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
            requests=None if measured else requests(self._context, window.start, min(window.end, self._until)).count(),
        )


def _days_scored(context: Context, windows: Sequence[Window]) -> dict[dt.datetime, int]:
    """Return on how many days the champion predicted, by the start of the window."""
    scored = live_predictions(context, windows[0].start, windows[-1].end).where(F.col("alias") == CHAMPION)
    days = scored.select(F.to_date("prediction_at").alias("day")).distinct().toArrow()["day"].to_pylist()
    length = context.use_case.monitoring.window
    return Counter(window_of(dt.datetime.combine(day, dt.time(), dt.UTC), length).start for day in days)


def _unscored(context: Context, windows: Sequence[Window], until: dt.datetime) -> dict[dt.datetime, int]:
    """Return how many requests have no prediction of the champion, by the start of the window.

    Only those count that fell due since the champion's first prediction and lie before scoring's look-back.
    """
    use_case, tables = context.use_case, context.lakehouse.tables
    scored = tables.read(use_case.table("predictions")).where(F.col("alias") == CHAMPION)
    first = scored.agg(F.min("prediction_at").alias("first")).toArrow()["first"][0].as_py()
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


def _windows(context: Context, since: dt.datetime | None, until: dt.datetime) -> tuple[Window, ...]:
    """Return the windows to monitor, without those before the first prediction: missing ones there are no finding."""
    use_case = context.use_case
    asked = windows_to_monitor(since, until, use_case.monitoring.window, use_case.label_due_days)
    predictions = context.lakehouse.tables.read(context.use_case.table("predictions"))
    first = predictions.agg(F.min("prediction_at").alias("first")).toArrow()["first"][0].as_py()
    return tuple(window for window in asked if first is not None and window.end > in_utc(first)) or asked[-1:]


def _as_predictions(context: Context, part: pd.DataFrame) -> Predictions:
    standing = part["standing"]
    return Predictions(
        scores=scores_in(part, context.use_case.problem),
        labels=part["label"].to_numpy(np.float64),
        closed=standing.isin([OutcomeState.LABELLED, OutcomeState.WITHOUT_LABEL]).to_numpy(np.bool_),
        due=(standing != OutcomeState.NOT_DUE).to_numpy(np.bool_),
        units=units_of(days_of(part["prediction_at"]), part, context.use_case.clusters),
        slices=part[list(context.use_case.slices)],
        late_days=part["late_days"].to_numpy(np.float64),
        weights=metric_weights(context.use_case, part),
    )


def _progress(label: str, window: Window, rows: Sequence[Mapping[str, Any]]) -> str:
    whole = [row for row in rows if row["window_start"] == window.start and row["slice_key"] == ALL_ROWS]
    said = {
        f"{row['alias']} version {row['model_version']}": f"{row['metric']} {row['value']:.4f} on {row['labelled']:,} labels"
        for row in reversed(whole)
        if row["value"] is not None
    }
    return f"{label}: " + ("; ".join(f"{who} {what}" for who, what in said.items()) or "no label is due yet")


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
