"""Evaluation of more rows than the driver should hold: the engine scores and summarises, the driver compares."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it
from pyspark.sql.types import LongType, StructField, StructType

from ml.evaluation.contender import Contender, ScoreFacts
from ml.evaluation.evaluate_contenders import EvaluationError
from ml.evaluation.key_hashes import count_known_keys
from ml.evaluation.record import EntityCount, Evaluation
from ml.evaluation.summarised_evaluation import (
    EvaluatedRows,
    Plan,
    evaluate_summary,
    plan,
    score_column,
    with_pools,
)
from ml.labels.maturity import LabelCounts
from ml.metrics.segment_sums import Layout, class_columns
from ml.metrics.targets import label_values, scores_shape
from ml.models.prediction import known_inputs, predict
from ml.monitoring.findings import Window
from ml.monitoring.summarised_windows import summarised_measurements
from ml.spec.errors import sentence_of
from ml.spec.target import MultiClass, Target, made_columns, score_columns
from pipelines.dataframes.scoring import score_frame
from pipelines.dataframes.segment_sums import Asked, Summary, flag, summarise
from pipelines.execution.context import Context
from pipelines.lakehouse.registry.model_version import ModelVersion, NoModelVersionError
from pipelines.tasks.versions.fitting import weight_column
from pipelines.tasks.versions.measured import EVALUATION, LAST_INSTANT, metrics_rows
from pipelines.tasks.versions.reference import KEYS_FILE

TIMED_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """An evaluation, and what was measured as rows of the metrics table."""

    evaluation: Evaluation
    metrics: list[dict[str, Any]]


def evaluate_summarised(
    context: Context, rows: DataFrame, versions: Mapping[int, ModelVersion], champion: int | None, *,
    overlaps: Mapping[int, int | None], label_counts: LabelCounts | None, seed: int,
) -> Evaluated:  # fmt: skip
    """Evaluate versions on the rows of a training set, of which the engine computes summaries.

    Each pass scores the rows again: a model scores faster than its scores could be stored and read.

    Parameters
    ----------
    versions
        Candidates and champion by number.
    overlaps
        Number of each version to the rows that it was trained on; None if unknown.
    """
    use_case = context.use_case
    scored: dict[int, Any] = {}
    contenders, facts = [], {}
    counted = _count(context, rows, versions)
    for version in versions.values():
        contender, model = _contender(context, version, rows, overlaps[version.number])
        if model is not None:
            try:
                facts[version.number] = _facts(context, rows, model)
                scored[version.number] = model
            except Exception as error:  # noqa: BLE001 - whatever a model raises is recorded with it, as for few rows
                contender = replace(contender, failure=sentence_of(error))
        contenders.append(contender)
    sound = [number for number in scored if not facts[number].broken]
    summary, planned = _summarised(context, rows, {number: scored[number] for number in sound}, champion, counted.rows)
    evaluation = evaluate_summary(
        evaluation_id=context.run_id, model=use_case.model.address, segments=summary.segments, errors=summary.errors,
        planned=planned, rows=replace(counted, label_counts=label_counts), contenders=contenders, facts=facts, seed=seed,
        clusters=use_case.clusters, weight_column=use_case.weight.column if use_case.weight else "",
    )  # fmt: skip
    return Evaluated(evaluation=evaluation, metrics=list(_metrics(context, summary, counted, sound)))


def known_keys(rows: DataFrame, hashes: bytes) -> int:
    """Return how many rows have the hash of their ``request_key`` among `hashes`, counted by the engine.

    Raises
    ------
    ValueError
        If `hashes` is not what `ml.evaluation.key_hashes.key_hashes` returned.
    """
    count_known_keys(hashes, [])  # raises here what would end the engine's query

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = count_known_keys(hashes, batch.column(0).to_pylist())
            yield pa.RecordBatch.from_arrays([pa.array([found], pa.int64())], names=["known"])

    counted = rows.select("request_key").mapInArrow(count, StructType([StructField("known", LongType())]))
    return int(counted.agg(F.sum("known").alias("known")).toArrow()["known"][0].as_py() or 0)


def overlap_by_hash(context: Context, version: ModelVersion, rows: DataFrame) -> int | None:
    """Return how many rows a copied version was trained on; None if the hashes of its keys are not stored."""
    try:
        return known_keys(rows, context.lakehouse.models.read_sidecar(version, KEYS_FILE))
    except (NoModelVersionError, ValueError):
        return None


def _summarised(
    context: Context, rows: DataFrame, models: Mapping[int, Any], champion: int | None, count: int
) -> tuple[Summary, Plan]:
    use_case = context.use_case
    frame = rows
    for number, model in models.items():
        frame = _named(_scored(context, frame, model), number, use_case.problem)
    layout = Layout(
        problem=use_case.problem, scores=tuple(map(score_column, models)), slices=use_case.slices,
        entities=use_case.clusters.sampled, day_memory=use_case.clusters.day_memory, costs=use_case.costs,
        weight=weight_column(use_case),
    )  # fmt: skip
    made: list[Plan] = []

    def asked(segments: Any) -> Asked:
        planned = plan(
            segments, policy=use_case.gate, problem=use_case.problem, champion=champion, versions=tuple(models),
            slices=use_case.slices, costs=use_case.costs,
        )  # fmt: skip
        made.append(planned)
        return Asked(segments=with_pools(segments, planned), quantities=planned.quantities, pools=planned.pools)

    summary = summarise(frame, layout, key="request_key", count=count, asked=asked)
    return summary, made[0]


def _named(scored: DataFrame, number: int, problem: Target) -> DataFrame:
    """Return rows with the scores that metrics read under the names of a version, without what else its model makes."""
    model = score_column(number)
    columns = class_columns(model, problem) if isinstance(problem, MultiClass) else (model,)
    named = dict(zip(score_columns(problem), columns, strict=True))
    return scored.withColumnsRenamed(named).drop(*(name for name in made_columns(problem) if name not in named))


def _scored(context: Context, rows: DataFrame, model: Any) -> DataFrame:
    return score_frame(rows, model, inputs=context.use_case.inputs, problem=context.use_case.problem)


def _facts(context: Context, rows: DataFrame, model: Any) -> ScoreFacts:
    """Return what the scores of a model are like, of several classes all probabilities; one that is no number is broken."""
    problem = context.use_case.problem
    names = score_columns(problem)
    broken = [~F.coalesce(_is_finite(F.col(name)), F.lit(False)) for name in names]
    totals = {
        "rows": F.count(F.lit(1)), **{f"broken {i}": F.sum(flag(one)) for i, one in enumerate(broken)},
        **{f"lowest {name}": F.min(name) for name in names}, **{f"highest {name}": F.max(name) for name in names},
    }  # fmt: skip
    scored = _scored(context, rows.select("request_key", *context.use_case.inputs), model)
    (found,) = scored.agg(*(value.alias(name) for name, value in totals.items())).toArrow().to_pylist()
    count = int(found["rows"])
    return ScoreFacts(
        rows=count, shape=scores_shape(count, problem), broken=sum(int(found[f"broken {i}"]) for i in range(len(names))),
        lowest=min(found[f"lowest {name}"] for name in names), highest=max(found[f"highest {name}"] for name in names),
        distinct=0,
    )  # fmt: skip


def _is_finite(score: Column) -> Column:
    return score.isNotNull() & ~F.isnan(score) & (F.abs(score) < float("inf"))


def _count(context: Context, rows: DataFrame, versions: Mapping[int, ModelVersion]) -> EvaluatedRows:
    """Count the rows, check their labels, and digest their keys whatever their order.

    Raises
    ------
    EvaluationError
        If a label is missing or does not fit the problem, or weights are negative, not finite, or all 0.
    """
    time, label = F.col("prediction_at"), F.col("label")
    until = {number: _trained_until(version) for number, version in versions.items()}
    older = {
        f"older_{number}": F.sum(flag(time <= F.lit(instant.to_pydatetime())))
        for number, instant in until.items()
        if instant is not None
    }
    wrong = label.isNull() | F.isnan(label) | (F.abs(label) == float("inf"))
    if (values := label_values(context.use_case.problem)) is not None:
        wrong = wrong | ~label.isin(*values.tolist())
    weight = F.col(weight_column(context.use_case)) if context.use_case.weight_in_metrics else F.lit(1.0)
    unsound = weight.isNull() | F.isnan(weight) | (weight < 0) | (weight == float("inf"))
    first = F.crc32(F.col("request_key"))
    second = F.crc32(F.concat(F.col("request_key"), F.lit("/"), time.cast("string")))
    totals = {
        "rows": F.count(F.lit(1)), "first": F.min(time), "last": F.max(time), "wrong": F.sum(flag(wrong)),
        "unsound": F.sum(flag(unsound)), "weight": F.sum(weight),
        "hash_1": F.sum(first), "hash_2": F.sum(second), "hash_3": F.sum((first % 65_521) * (second % 65_521)), **older,
    }  # fmt: skip
    (found,) = rows.agg(*(value.alias(name) for name, value in totals.items())).toArrow().to_pylist()
    if found["wrong"]:
        raise EvaluationError(
            f"the rows to evaluate on are not sound: {int(found['wrong'])} labels are missing or do not fit the problem."
        )
    if found["unsound"] or not found["weight"]:
        raise EvaluationError(
            f"the rows to evaluate on are not sound: weights must be finite, 0 or more, and not all 0; {int(found['unsound'])} "
            "are not."
        )
    hashes = "/".join(str(found[name]) for name in ("rows", "hash_1", "hash_2", "hash_3"))
    return EvaluatedRows(
        rows=int(found["rows"]),
        first=_utc(found["first"]),
        last=_utc(found["last"]),
        digest=hashlib.sha256(hashes.encode()).hexdigest(),
        older={number: int(found[f"older_{number}"]) for number in until if f"older_{number}" in found},
        entities=tuple(_entities(context, rows)),
    )


def _entities(context: Context, rows: DataFrame) -> Iterator[EntityCount]:
    for entity in context.use_case.clusters.entities:
        sizes = rows.groupBy(entity.column).agg(F.count(F.lit(1)).cast("double").alias("size"))
        size = F.col("size")
        (found,) = (
            sizes.agg(F.count(size).alias("entities"), F.sum(size).alias("rows"), F.sum(size * size).alias("squares"))
            .toArrow()
            .to_pylist()
        )
        yield EntityCount(
            column=entity.column, kind=entity.kind, entities=int(found["entities"]),
            effective=found["rows"] ** 2 / found["squares"],
        )  # fmt: skip


def _contender(context: Context, version: ModelVersion, rows: DataFrame, overlap: int | None) -> tuple[Contender, Any]:
    """Return a version and its model; None for the model if it cannot be loaded or does not score a few rows."""
    use_case = context.use_case
    model, failure, seconds = None, None, None
    try:
        model = context.lakehouse.models.load(version)
        sample = rows.select(*known_inputs(model, use_case.inputs)).limit(TIMED_ROWS).toArrow().to_pandas()
        seconds = seconds_per_1000(model, sample, use_case.problem)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is recorded with it and refused by the gate
        model, failure = None, sentence_of(error)
    contender = Contender(
        version=version.number, estimator=version.tags.get("estimator", "unknown"), scores=None,
        trained_until=_trained_until(version), overlap_rows=overlap, seconds_per_1000_rows=seconds, failure=failure,
    )  # fmt: skip
    return contender, model


TIMED_RUNS = 3


def seconds_per_1000(model: Any, inputs: pd.DataFrame, problem: Target) -> float:
    """Return how long scoring 1,000 rows takes at best, so that other load on the machine does not count."""
    sample = inputs.head(TIMED_ROWS)
    times = []
    for _ in range(TIMED_RUNS):
        begun = time.perf_counter()
        predict(model, sample, problem=problem)
        times.append(time.perf_counter() - begun)
    return min(times) / len(sample) * 1_000


def _metrics(
    context: Context, summary: Summary, counted: EvaluatedRows, versions: Sequence[int]
) -> Iterator[dict[str, Any]]:
    window = Window(start=counted.first.to_pydatetime(), end=(counted.last + LAST_INSTANT).to_pydatetime())
    for number in versions:
        measured = summarised_measurements(
            summary.segments, summary.errors, group=(), score=score_column(number), slices=context.use_case.slices,
            model_version=number,
        )  # fmt: skip
        yield from metrics_rows(context, measured, window, EVALUATION)


def _trained_until(version: ModelVersion) -> pd.Timestamp | None:
    until = version.tags.get("trained_until")
    return pd.Timestamp(until) if until else None


def _utc(instant: Any) -> pd.Timestamp:
    found = pd.Timestamp(instant)
    return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")
