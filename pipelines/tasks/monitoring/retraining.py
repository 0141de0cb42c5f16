"""The task that turns measurements into findings, and findings into the decision to retrain.

Pure functions of `ml` decide what is a finding and which findings cause a retraining.
"""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from dataclasses import replace

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.findings import OF_OTHER_TASKS, Finding, FindingKind, Window
from ml.monitoring.findings_history import findings_changes
from ml.monitoring.retraining_decision import RetrainingDecision, decide_retraining
from pipelines.declarations.standard_jobs.delivery import DELIVERY
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.runner import State
from pipelines.execution.windows import finding_label
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import in_utc, records
from pipelines.tasks.monitoring.monitored_windows import monitored_windows
from pipelines.tasks.monitoring.window_judge import WindowJudge, finding_of
from pipelines.tasks.predictions.stream_lag import note_lag
from pipelines.tasks.versions.model_card import write_model_cards
from pipelines.tasks.versions.serving import serve

UNENDED = (State.RUNNING.value, State.INTERRUPTED.value)
"""The states of a task that a run has begun and not ended by itself."""


def decide(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Turn measurements into findings, window by window, and those of the last one that has ended into a decision."""
    end = context.end_of_window(since, until)
    windows = monitored_windows(context, since, end)
    use_case, tables = context.use_case, context.lakehouse.tables
    findings, history = use_case.table("findings"), use_case.table("findings_history")
    every = [finding_of(row) for row in tables.read(findings).toArrow().to_pylist()]
    stored = [finding for finding in every if finding.kind not in OF_OTHER_TASKS]
    known = [finding for finding in stored if finding.window_start < windows[0].start]
    judge = WindowJudge(context, windows, end)
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
        when = finding_label(finding.window_start, finding.kind, use_case.monitoring.window)
        context.say(f"finding of {when}: {finding.message}")
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
