"""Task after a training or a delivery: candidates and champion on the same rows, none of which any of them was trained on."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate as evaluate_contenders
from ml.evaluation.figures import importance_figure
from ml.evaluation.key_hashes import count_known_keys
from ml.evaluation.record import Evaluation
from ml.evaluation.summarised_evaluation import resamples
from ml.labels.maturity import LabelCounts
from ml.metrics.clusters import units_of
from ml.metrics.days import days_of
from ml.metrics.metric_table import metric
from ml.metrics.quality_metrics import MetricError
from ml.models.importance import ImportanceRows, InputImportance, permutation_importance
from ml.models.prediction import known_inputs, predict
from ml.monitoring.findings import Window
from ml.monitoring.window_metrics import Predictions
from ml.spec.errors import sentence_of
from pipelines.execution.context import Context, TaskResult
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion, NoModelVersionError
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks import row_limits
from pipelines.tasks.versions.candidates import TRIALS, VALIDATED_UNTIL, failed_candidates
from pipelines.tasks.versions.fitting import metric_weights
from pipelines.tasks.versions.measured import EVALUATION as EVALUATION_ALIAS
from pipelines.tasks.versions.measured import LAST_INSTANT, measured_rows
from pipelines.tasks.versions.reference import KEYS_FILE
from pipelines.tasks.versions.summarised_evaluation import (
    Evaluated,
    evaluate_summarised,
    overlap_by_hash,
    seconds_per_1000,
)
from pipelines.tasks.versions.training import EVALUATION, TRAINING, part_of, read_part


def evaluate(context: Context, *, seed: int) -> TaskResult:
    """Score candidates and champion on the run's evaluation rows and keep the evaluation, whatever it says.

    An evaluation about which the gate has decided stays, as long as the decision can be carried out: where a run goes on
    that was interrupted meanwhile, its candidates may have stopped being candidates, and the champion be one of them.
    """
    use_case, models = context.use_case, context.lakehouse.models
    champion = models.find_alias(use_case.model, CHAMPION)
    versions = {version.number: version for version in models.candidates_of(use_case.model, context.run_id)}
    if _is_decided(context, champion, versions):
        context.say(f"the gate has decided about evaluation {context.run_id}: it stays as it is")
        return TaskResult(values={"evaluation_id": context.run_id})
    if champion is not None:
        versions[champion.number] = champion
    evaluated = evaluation_of(context, versions, champion.number if champion else None, seed=seed)
    evaluation = evaluated.evaluation
    failed = failed_candidates(context)
    record = {
        "evaluation_id": context.run_id, "evaluated_at": context.now, "champion": evaluation.champion,
        "candidates": len(evaluation.candidates), "rows": evaluation.rows, "complete": evaluation.complete,
        "evaluation": evaluation.to_json(), "not_trained": json.dumps(failed) if failed else None,
    }  # fmt: skip
    evaluations, metrics = use_case.table("evaluations"), use_case.table("metrics")
    context.lakehouse.tables.merge(metrics, records(metrics, evaluated.metrics))
    context.lakehouse.tables.merge(evaluations, records(evaluations, [record]))
    _log_metrics(context, versions, evaluation)
    for contender in evaluation.contenders:
        value = contender.metrics.get(evaluation.metric)
        said = contender.failure or f"{evaluation.metric} {value:.4f}"
        role = "champion" if contender.version == evaluation.champion else "candidate"
        context.say(f"{role} version {contender.version} ({contender.estimator}): {said}")
    for estimator, reason in failed.items():
        context.say(f"no candidate of {estimator}, which could not be trained: {reason}")
    return TaskResult(rows=evaluation.rows, values={"evaluation_id": context.run_id})


def evaluation_of(
    context: Context, versions: Mapping[int, ModelVersion], champion: int | None, *, seed: int
) -> Evaluated:
    """Measure versions on the run's evaluation rows: on the rows themselves, or on summaries where there are too many.

    A policy that resamples needs rows: then a share of them is evaluated, drawn by their keys.
    """
    use_case, limit = context.use_case, row_limits.EXACT_ROWS
    stored = part_of(context, EVALUATION)
    count = stored.count()
    if count <= limit:
        return _exactly(context, read_part(context, EVALUATION), versions, champion, seed=seed)
    if resamples(use_case.gate, use_case.problem):
        share = limit / count
        context.say(
            f"{count:,} rows, more than {limit:,}: policy {use_case.gate.name!r} resamples a {share:.2%} sample"
        )
        rows = read_part(context, EVALUATION, share=share, seed=seed)
        found = _exactly(context, rows, versions, champion, seed=seed)
        return replace(found, evaluation=replace(found.evaluation, sample_share=share))
    context.say(f"{count:,} rows, more than {limit:,}: evaluated from summaries")
    counts = stored.select("label_counts").limit(1).toArrow()["label_counts"][0].as_py()
    return evaluate_summarised(
        context, stored, versions, champion, label_counts=_label_counts(counts), seed=seed,
        overlaps=_overlaps(context, list(versions.values()), lambda version: overlap_by_hash(context, version, stored)),
    )  # fmt: skip


def _exactly(
    context: Context, rows: pd.DataFrame, versions: Mapping[int, ModelVersion], champion: int | None, *, seed: int
) -> Evaluated:
    use_case, keys = context.use_case, rows["request_key"].tolist()
    overlaps = _overlaps(context, list(versions.values()), lambda version: overlap_by_keys(context, version, keys))
    contenders = [_contender(context, version, rows, overlaps) for version in versions.values()]
    evaluation = evaluate_contenders(
        evaluation_id=context.run_id,
        model=use_case.model.address,
        labels=rows["label"].to_numpy(np.float64),
        times=rows["prediction_at"],
        keys=keys,
        contenders=contenders,
        champion=champion,
        slices={name: rows[name].to_numpy(object) for name in use_case.slices},
        problem=use_case.problem,
        policy=use_case.gate,
        seed=seed,
        clusters=use_case.clusters,
        entities={name: rows[name].to_numpy(object) for name in use_case.clusters.columns},
        label_counts=_label_counts(rows["label_counts"].iloc[0]),
        weights=metric_weights(use_case, rows),
        weight_column=use_case.weight.column if use_case.weight else "",
        costs=use_case.costs,
    )
    return Evaluated(evaluation=evaluation, metrics=_metrics(context, rows, contenders))


def _label_counts(counted: str | None) -> LabelCounts | None:
    """Return what the run's assembly counted; None for rows that were assembled before it was counted."""
    return LabelCounts.of(json.loads(counted)[EVALUATION]) if counted else None


def _log_metrics(context: Context, versions: Mapping[int, ModelVersion], evaluation: Evaluation) -> None:
    """Log what was measured where MLflow shows and sorts it: on the run of each version that was trained here.

    The run of a copy is where it was trained; there are the metrics of that environment's evaluation.
    """
    here = context.lakehouse.environment.name
    for contender in evaluation.contenders:
        version = versions[contender.version]
        if version.trained_in == here and contender.metrics:
            measured = {f"{EVALUATION_ALIAS}_{name}": value for name, value in contender.metrics.items()}
            context.lakehouse.models.log_metrics(
                version, {**measured, f"{EVALUATION_ALIAS}_rows": evaluation.rows}, at=context.now
            )
            if contender.importance:
                figure = importance_figure(contender.importance, evaluation.metric)
                context.lakehouse.models.log_figure(version, figure, "plots/importance.png")


def _is_decided(context: Context, champion: ModelVersion | None, candidates: Collection[int]) -> bool:
    """Return whether a verdict is kept about an evaluation of these candidates that no other promotion has overtaken."""
    now = champion.number if champion else None
    verdicts = _of_run(context, "verdicts")
    if not any(now in (verdict["champion"], verdict["promoted"]) for verdict in verdicts):
        return bool(verdicts) and not candidates
    stored = (Evaluation.from_json(row["evaluation"]) for row in _of_run(context, "evaluations"))
    return any(set(candidates) <= {judged.version for judged in evaluation.candidates} for evaluation in stored)


def _of_run(context: Context, name: str) -> list[dict[str, Any]]:
    table = context.lakehouse.tables.read(context.use_case.table(name))
    rows: list[dict[str, Any]] = table.where(F.col("evaluation_id") == context.run_id).toArrow().to_pylist()
    return rows


def _overlaps(
    context: Context, versions: Sequence[ModelVersion], by_hash: Callable[[ModelVersion], int | None]
) -> Mapping[int, int | None]:
    """Return how many of the run's evaluation rows each version was trained on; None if unknown.

    For a version trained here the training set is read; a copy from another environment has the hashes of its keys,
    by which `by_hash` counts.
    """
    here = context.lakehouse.environment.name
    own = [version for version in versions if version.trained_in == here]
    rows = _rows_in_sets(context, sorted({version.tags.get("training_set_id", "") for version in own}))
    found: dict[int, int | None] = {v.number: rows.get(v.tags.get("training_set_id", "")) for v in own}
    return found | {version.number: by_hash(version) for version in versions if version not in own}


def _rows_in_sets(context: Context, ids: Sequence[str]) -> Mapping[str, int]:
    sets = context.lakehouse.tables.read(context.use_case.table("training_set"))
    evaluated = sets.where((F.col("training_set_id") == context.run_id) & (F.col("part") == EVALUATION))
    trained = sets.where(F.col("training_set_id").isin(*ids) & (F.col("part") == TRAINING))
    marked = evaluated.select("request_key", F.lit(1).alias("evaluated"))
    both = trained.select("training_set_id", "request_key").join(marked, on="request_key", how="left")
    found = both.groupBy("training_set_id").agg(F.count("evaluated").alias("rows")).toArrow().to_pylist()
    return {row["training_set_id"]: row["rows"] for row in found}


def overlap_by_keys(context: Context, version: ModelVersion, keys: Sequence[str]) -> int | None:
    """Return how many requests a version was trained on, by the hashes of their keys that it has; None without any."""
    try:
        return count_known_keys(context.lakehouse.models.read_sidecar(version, KEYS_FILE), keys)
    except (NoModelVersionError, ValueError):
        return None


def _contender(
    context: Context, version: ModelVersion, rows: pd.DataFrame, overlaps: Mapping[int, int | None]
) -> Contender:
    """Return a version as scored; one that cannot be loaded or scored says why instead."""
    use_case = context.use_case
    scores, failure, seconds, model = None, None, None, None
    try:
        model = context.lakehouse.models.load(version)
        inputs = rows[known_inputs(model, use_case.inputs)]
        scores = predict(model, inputs, problem=use_case.problem)
        seconds = seconds_per_1000(model, inputs, use_case.problem)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is recorded with it and refused by the gate
        failure = sentence_of(error)
    until = version.tags.get("trained_until")
    return Contender(
        version=version.number,
        estimator=version.tags.get("estimator", "unknown"),
        scores=scores,
        trained_until=pd.Timestamp(until) if until else None,
        overlap_rows=overlaps[version.number],
        seconds_per_1000_rows=seconds,
        trials_on_rows=_trials_on(rows, version),
        importance=_importance(context, version, model, rows) if failure is None else (),
        failure=failure,
    )


def _importance(context: Context, version: ModelVersion, model: Any, rows: pd.DataFrame) -> tuple[InputImportance, ...]:
    """Return how much the deciding metric depends on each input; nothing where the rows do not define the metric.

    It decides nothing, so whatever keeps it from being measured refuses nobody.
    """
    use_case = context.use_case
    measured_on = ImportanceRows(
        inputs=rows[known_inputs(model, use_case.inputs)], labels=rows["label"].to_numpy(np.float64),
        units=units_of(days_of(rows["prediction_at"]), rows, use_case.clusters), weights=metric_weights(use_case, rows),
    )  # fmt: skip
    measured = metric(use_case.gate.metric, use_case.problem, use_case.costs)
    try:
        return permutation_importance(model, measured_on, problem=use_case.problem, measured=measured, seed=0)
    except MetricError:
        return ()
    except Exception as error:  # noqa: BLE001 - a model may refuse combinations of values that no row had
        context.say(f"version {version.number}: the importance of its inputs was not measured: {sentence_of(error)}")
        return ()


def _trials_on(rows: pd.DataFrame, version: ModelVersion) -> int:
    """Return how many trials of a version's search were validated on these rows: none, where all came before them."""
    until = version.tags.get(VALIDATED_UNTIL)
    if until is None or pd.Timestamp(until) < rows["prediction_at"].min():
        return 0
    return int(version.tags[TRIALS]) - 1


def _metrics(context: Context, rows: pd.DataFrame, contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """Return what was measured as rows of the metrics table: monitoring compares with it later."""
    window = Window(start=rows["prediction_at"].min(), end=rows["prediction_at"].max() + LAST_INSTANT)
    known = np.ones(len(rows), dtype=np.bool_)
    found: list[dict[str, Any]] = []
    for contender in contenders:
        if contender.scores is None:
            continue
        predictions = Predictions(
            scores=contender.scores, labels=rows["label"].to_numpy(np.float64), closed=known, due=known,
            units=units_of(days_of(rows["prediction_at"]), rows, context.use_case.clusters),
            slices=rows[list(context.use_case.slices)], weights=metric_weights(context.use_case, rows),
        )  # fmt: skip
        found += measured_rows(context, predictions, window, EVALUATION_ALIAS, contender.version)
    return found
