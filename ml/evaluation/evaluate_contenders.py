"""Evaluates champion and candidates on the same rows, later than and disjoint from the training rows of each.

The result is an `ml.evaluation.record.Evaluation`, a plain record with a digest; `ml.gate.decision` decides on it. A
contender that could not be measured stays in the record with the reason. The caller scores the rows and stores the
record.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.evaluation.comparison import Comparison, Subject, compare
from ml.evaluation.contender import Contender, failure_of
from ml.evaluation.record import (
    EntityCount,
    EvaluatedContender,
    Evaluation,
    FailureKind,
    SliceMetrics,
    SmallSlice,
    WeightCounts,
)
from ml.evaluation.reliability import reliability
from ml.evaluation.slices import SliceRows, each_slice, small_slice, sorted_by_size
from ml.labels.maturity import LabelCounts
from ml.metrics.clusters import Units, codes_in_order, codes_of, effective_clusters
from ml.metrics.days import days_of
from ml.metrics.metric_table import constant_scores, measure, metric
from ml.metrics.quality_metrics import Metric, MetricError, sound_weights
from ml.metrics.targets import in_one_column, label_spread, label_values, positive_rows
from ml.spec.clusters import INDEPENDENT_DAYS, Clusters
from ml.spec.costs import ErrorCosts
from ml.spec.errors import LakehouseError
from ml.spec.gate_policy import GatePolicy
from ml.spec.target import Target

Floats = NDArray[np.float64]


_NO_ENTITIES: Mapping[str, NDArray[np.object_]] = MappingProxyType({})


class EvaluationError(LakehouseError, ValueError):
    """Rows that cannot be evaluated on; the message states what is wrong with them."""


def keys_digest(keys: Sequence[str]) -> str:
    """Return the SHA-256 of the keys of rows, in their order."""
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


def evaluate(
    *,
    evaluation_id: str,
    model: str,
    labels: Floats,
    times: "pd.Series[Any] | pd.DatetimeIndex",
    keys: Sequence[str],
    contenders: Sequence[Contender],
    champion: int | None,
    slices: Mapping[str, NDArray[np.object_]],
    problem: Target,
    policy: GatePolicy,
    seed: int,
    clusters: Clusters = INDEPENDENT_DAYS,
    entities: Mapping[str, NDArray[np.object_]] = _NO_ENTITIES,
    label_counts: LabelCounts | None = None,
    weights: Floats | None = None,
    weight_column: str = "",
    costs: ErrorCosts | None = None,
) -> Evaluation:
    """Measure every contender on the same rows and compare each candidate with the champion.

    Parameters
    ----------
    labels, times, keys
        One per row: the truth, the instant of prediction, and the key that identifies the row.
    contenders
        Candidates and, if there is one, the champion.
    champion
        Version of the champion among the contenders; None before the first champion.
    slices
        Column name to the value of each row.
    policy
        Metric, method, margins and tolerances.
    seed
        Of every bootstrap; the same draws are used for all contenders.
    clusters, entities
        What the rows depend on, and the value of each row in each column that `clusters` names.
    label_counts
        Of the requests that could have been evaluated, which decide and which are left out; kept in the record.
    weights, weight_column
        Shape ``(rows,)``: how much each row counts, in every metric and every comparison, and the name of the column that
        says so; None for all alike.
    costs
        Of errors, for the cost of a request; None without any.

    Raises
    ------
    EvaluationError
        If labels, times, keys, slices, entities and weights differ in length, keys repeat, labels do not fit the problem,
        or weights are negative or not finite.
    """
    truth = np.asarray(labels, dtype=np.float64)
    instants = pd.DatetimeIndex(times)
    _check_rows(truth, instants, keys, contenders, {**slices, **entities}, problem, weights)
    digest = keys_digest(keys)
    codes = {name: codes_of(entities[name]) for name in clusters.columns}
    sampled = {name: codes[name] for name in clusters.sampled}
    units = Units(days=days_of(instants), entities=sampled, day_memory=clusters.day_memory)
    judged, small = sorted_by_size(slices, truth, policy, problem)
    rows = _Rows(labels=truth, units=units, slices=slices, judged=judged, small=small, weights=weights, costs=costs)
    failures = {c.version: failure_of(c, instants, digest, problem) for c in contenders}
    sound = {c.version: np.asarray(c.scores, dtype=np.float64) for c in contenders if failures[c.version] is None}
    incomplete = incomplete_because(truth.size, champion, {c.version for c in contenders}, failures)
    comparisons = () if incomplete else tuple(_comparisons(rows, sound, champion, policy, problem, seed))
    return Evaluation(
        evaluation_id=evaluation_id,
        model=model,
        problem=problem,
        policy=policy.name,
        policy_digest=policy.digest,
        metric=policy.metric,
        seed=seed,
        rows=truth.size,
        positives=positive_rows(truth, problem),
        days=int(np.unique(units.days).size),
        label_spread=label_spread(truth, problem, weights),
        window_start=instants.min().isoformat() if truth.size else None,
        window_end=instants.max().isoformat() if truth.size else None,
        keys_digest=digest,
        champion=champion,
        constant=_constant_values(rows, policy, problem),
        contenders=tuple(_measured(c, rows, failures[c.version], sound.get(c.version), problem) for c in contenders),
        comparisons=comparisons,
        label_counts=label_counts,
        incomplete_because=incomplete,
        entities=tuple(_counted(clusters, codes)),
        day_memory=clusters.day_memory,
        small_slices=() if incomplete else tuple(_small_slices(rows, sound, champion, policy, problem)),
        weights=None if weights is None else _worth(weight_column, rows, weights, problem),
        costs=costs,
    )


@dataclass(frozen=True, kw_only=True)
class _Rows:
    labels: Floats
    units: Units
    slices: Mapping[str, NDArray[np.object_]]
    judged: list[SliceRows] = field(default_factory=list)
    small: list[SliceRows] = field(default_factory=list)
    weights: Floats | None = None
    costs: ErrorCosts | None = None

    def weights_of(self, chosen: "NDArray[np.intp] | slice") -> Floats | None:
        """Return the weights of some of the rows; None where all count alike."""
        return None if self.weights is None else self.weights[chosen]


def _check_rows(
    labels: Floats, instants: pd.DatetimeIndex, keys: Sequence[str], contenders: Sequence[Contender],
    slices: Mapping[str, NDArray[np.object_]], problem: Target, weights: Floats | None,
) -> None:  # fmt: skip
    lengths = {"times": len(instants), "keys": len(keys), **{f"slice {name!r}": len(v) for name, v in slices.items()}}
    lengths |= {} if weights is None else {"weights": weights.size}
    wrong = [f"{name} has {length}" for name, length in lengths.items() if length != labels.size]
    missing_times = int(np.sum(np.asarray(instants.isna())))
    mistakes = [f"{labels.size} labels, but {', '.join(wrong)}"] if wrong else []
    if len(set(keys)) != len(keys):
        mistakes.append(f"{len(keys) - len(set(keys))} keys occur more than once")
    if missing_times:
        mistakes.append(f"{missing_times} rows have no time")
    if not np.isfinite(labels).all():
        mistakes.append(f"{int(np.sum(~np.isfinite(labels)))} labels are missing or infinite")
    elif (values := label_values(problem)) is not None and not np.isin(labels, values).all():
        among = " and ".join(f"{value:g}" for value in values) if values.size == 2 else f"0 to {values.size - 1}"
        mistakes.append(f"a {problem} problem has labels {among} only")
    if weights is not None and labels.size and not _are_sound(weights):
        mistakes.append("weights must be finite, 0 or more, and not all 0")
    versions = [c.version for c in contenders]
    if len(set(versions)) != len(versions):
        mistakes.append(f"versions repeat among the contenders: {versions}")
    if mistakes:
        raise EvaluationError(f"the rows to evaluate on are not sound: {'; '.join(mistakes)}.")


def _are_sound(weights: Floats) -> bool:
    try:
        sound_weights(weights)
    except MetricError:
        return False
    return True


def _worth(column: str, rows: _Rows, weights: Floats, problem: Target) -> WeightCounts:
    """Return how many rows, rows of the rarer class and days of equal weight these are worth."""
    each = np.arange(weights.size)
    values = label_values(problem)
    classes = [] if values is None else [rows.labels == value for value in values]
    rarer = [effective_clusters(np.arange(int(of.sum())), weights[of]) if of.any() else 0.0 for of in classes]
    return WeightCounts(
        column=column,
        rows=effective_clusters(each, weights) if weights.size else 0.0,
        rarer=min(rarer) if rarer else None,
        days=effective_clusters(codes_in_order(rows.units.days), weights) if weights.size else 0.0,
    )


def incomplete_because(
    rows: int, champion: int | None, versions: set[int], failures: Mapping[int, tuple[FailureKind, str] | None]
) -> tuple[str, ...]:
    """Return why no decision is possible on so many rows; empty if one is."""
    found = []
    if rows == 0:
        found.append("there are no rows to evaluate on")
    if champion is not None and champion not in versions:
        found.append(f"champion version {champion} was not scored")
    failure = failures.get(champion) if champion is not None else None
    if failure is not None:
        found.append(f"champion version {champion} does not count: {failure[1]}")
    return tuple(found)


def _measured(
    contender: Contender, rows: _Rows, failure: tuple[FailureKind, str] | None, scores: Floats | None, problem: Target
) -> EvaluatedContender:
    sound = scores is not None and rows.labels.size > 0
    return EvaluatedContender(
        version=contender.version,
        estimator=contender.estimator,
        trained_until=contender.trained_until.isoformat() if contender.trained_until is not None else None,
        overlap_rows=contender.overlap_rows,
        seconds_per_1000_rows=contender.seconds_per_1000_rows,
        metrics=measure(rows.labels, scores, problem, rows.weights, rows.costs) if sound and scores is not None else {},
        slices=tuple(_slice_metrics(rows, scores, problem)) if sound and scores is not None else (),
        failure_kind=failure[0] if failure else None,
        failure=failure[1] if failure else None,
        trials_on_rows=contender.trials_on_rows,
        importance=contender.importance,
        reliability=tuple(reliability(*in_one_column(rows.labels, scores), rows.units, rows.weights))
        if sound and scores is not None
        else (),
    )


def _slice_metrics(rows: _Rows, scores: Floats, problem: Target) -> Iterator[SliceMetrics]:
    for one in each_slice(rows.slices):
        truth = rows.labels[one.rows]
        yield SliceMetrics(
            slice_key=one.key,
            slice_value=one.value,
            rows=truth.size,
            positives=positive_rows(truth, problem),
            metrics=measure(truth, scores[one.rows], problem, rows.weights_of(one.rows), rows.costs),
        )


def _counted(clusters: Clusters, codes: Mapping[str, NDArray[np.int64]]) -> Iterator[EntityCount]:
    for entity in clusters.entities:
        found = codes[entity.column]
        yield EntityCount(
            column=entity.column,
            kind=entity.kind,
            entities=int(found.max()) + 1 if found.size else 0,
            effective=effective_clusters(found),
        )


def _comparisons(
    rows: _Rows, sound: Mapping[int, Floats], champion: int | None, policy: GatePolicy, problem: Target, seed: int
) -> Iterator[Comparison]:
    main = metric(policy.metric, problem, rows.costs)
    constant = constant_scores(rows.labels, main, rows.weights)
    for version, scores in sound.items():
        if version == champion:
            continue
        subject = Subject(candidate=version, against=None, metric=main)
        yield from _one(rows, subject, scores, constant, policy, seed)
        if champion is None:
            continue
        for subject, chosen in _subjects(rows, version, champion, policy, problem):
            yield from _one(rows, subject, scores, sound[champion], policy, seed, chosen)


def _subjects(
    rows: _Rows, candidate: int, champion: int, policy: GatePolicy, problem: Target
) -> Iterator[tuple[Subject, NDArray[np.intp] | None]]:
    """Yield every comparison of a candidate with the champion, and the rows it is made on; None for all."""
    for name in policy.compared:
        compared = metric(name, problem, rows.costs)
        whole = Subject(candidate=candidate, against=champion, metric=compared)
        unit = _distance_to_perfect(rows, compared)
        margin = policy.margin if name == policy.metric else 0.0
        guarded = sum(rail.tolerance for rail in policy.guard_rails if rail.metric == name)
        yield replace(whole, margin=margin, tolerance=guarded * unit), None
        tolerance = (policy.slice_tolerance or 0.0) * unit
        for one in rows.judged:
            yield replace(whole, slice_key=one.key, slice_value=one.value, tolerance=tolerance), one.rows


def _small_slices(
    rows: _Rows, sound: Mapping[int, Floats], champion: int | None, policy: GatePolicy, problem: Target
) -> Iterator[SmallSlice]:
    """Yield what each candidate shows on the slices that are too small, in the metric that decides."""
    if champion is None or not rows.small:
        return
    compared = metric(policy.metric, problem, rows.costs)
    unit = _distance_to_perfect(rows, compared)
    for version, scores in sound.items():
        if version == champion:
            continue
        tolerance = (policy.slice_tolerance or 0.0) * unit
        subject = Subject(candidate=version, against=champion, metric=compared, tolerance=tolerance)
        for one in rows.small:
            yield small_slice(
                subject, one, rows.labels, scores, sound[champion], unit=unit, problem=problem, weights=rows.weights
            )


def _distance_to_perfect(rows: _Rows, compared: Metric) -> float:
    """Return how far a constant prediction is from a perfect one, the unit of the policy's tolerances."""
    try:
        return abs(compared.perfect - _of_constant(rows, compared))
    except MetricError:
        return 0.0


def _of_constant(rows: _Rows, compared: Metric) -> float:
    """Return the metric of the best constant prediction."""
    constant = constant_scores(rows.labels, compared, rows.weights)
    return compared.function(rows.labels, constant, rows.weights)


def _one(
    rows: _Rows, subject: Subject, scores: Floats, against: Floats, policy: GatePolicy, seed: int,
    chosen: NDArray[np.intp] | None = None,
) -> Iterator[Comparison]:  # fmt: skip
    """Yield the comparison; nothing if these rows do not define it: the gate refuses when one is missing."""
    index = slice(None) if chosen is None else chosen
    try:
        yield compare(
            subject, rows.labels[index], scores[index], against[index], policy=policy, units=rows.units.take(index),
            seed=seed, weights=rows.weights_of(index),
        )  # fmt: skip
    except MetricError:
        return


def _constant_values(rows: _Rows, policy: GatePolicy, problem: Target) -> dict[str, float]:
    if rows.labels.size == 0:
        return {}
    found = {}
    for name in policy.compared:
        try:
            found[name] = _of_constant(rows, metric(name, problem, rows.costs))
        except MetricError:
            continue
    return found
