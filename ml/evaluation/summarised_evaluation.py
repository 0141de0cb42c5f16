"""The evaluation of contenders from a summary of their rows, where there are too many for `evaluate_contenders`.

The same record by the same rules. Means of losses and their errors are exact; ROC AUC and what else depends on the order
of scores is within the bounds of `ml.metrics.score_grid`. A policy that resamples needs the rows themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ml.evaluation.comparison import Comparison, Subject, compare_sums, method_for
from ml.evaluation.contender import Contender, ScoreFacts, fault_of
from ml.evaluation.evaluate_contenders import incomplete_because
from ml.evaluation.record import (
    EntityCount,
    EvaluatedContender,
    Evaluation,
    FailureKind,
    SliceMetrics,
    SmallSlice,
    WeightCounts,
)
from ml.evaluation.slices import OTHERS, large_enough, small_slice_record
from ml.labels.maturity import LabelCounts
from ml.metrics.addends import segment_name
from ml.metrics.metric_table import metric
from ml.metrics.quality_metrics import Metric, MetricError
from ml.metrics.segment_errors import Errors
from ml.metrics.segment_summary import Quantity, Segment, pooled_segment
from ml.metrics.segment_sums import CONSTANT, score_part
from ml.monitoring.summarised_windows import measured_quantities
from ml.spec.clusters import INDEPENDENT_DAYS, Clusters
from ml.spec.costs import ErrorCosts
from ml.spec.gate_policy import GatePolicy
from ml.spec.target import Target

WHOLE = segment_name(())
"""The segment of all rows."""
Fault = tuple[FailureKind, str]


def score_column(version: int) -> str:
    """Return the column with the scores of a version."""
    return f"score_{version}"


def resamples(policy: GatePolicy, problem: Target) -> bool:
    """Return whether something that a policy compares can only be judged on the rows, by resampling them."""
    return policy.method.resamples_rows or not all(metric(name, problem).has_test for name in policy.compared)


@dataclass(frozen=True, kw_only=True)
class EvaluatedRows:
    """What is known of all rows of an evaluation besides their scores.

    Attributes
    ----------
    first, last
        Instants of prediction.
    digest
        Of the keys of the rows.
    older
        Version to the rows that are not later than what it was trained on.
    """

    rows: int
    first: pd.Timestamp
    last: pd.Timestamp
    digest: str
    older: Mapping[int, int]
    entities: tuple[EntityCount, ...] = ()
    label_counts: LabelCounts | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an evaluation compares: known once the rows are counted, before their influences are summed.

    Attributes
    ----------
    judged, small
        Slice column to the values that are judged, and that are too small alone; None is a missing value.
    pooled
        Slice columns whose small values are judged together.
    costs
        Of errors, for the cost of a request; None without any.
    """

    policy: GatePolicy
    problem: Target
    champion: int | None
    versions: tuple[int, ...]
    judged: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    small: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    pooled: frozenset[str] = frozenset()
    costs: ErrorCosts | None = None

    def metric(self, name: str) -> Metric:
        """Return one of the compared metrics by its name."""
        return metric(name, self.problem, self.costs)

    @property
    def candidates(self) -> tuple[int, ...]:
        """The versions that are compared."""
        return tuple(version for version in self.versions if version != self.champion)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What has to be summed: each version in every metric, and the differences of each candidate."""
        columns = {version: score_column(version) for version in self.versions}
        alone = measured_quantities(self.problem, list(columns.values()), self.costs)
        to_constant = tuple((self.policy.metric, columns[version], CONSTANT) for version in self.candidates)
        champion = columns.get(self.champion) if self.champion is not None else None
        to_champion = tuple(
            (name, columns[version], champion)
            for name in self.policy.compared
            for version in self.candidates
            if champion
        )
        return (*alone, *to_constant, *to_champion)

    @property
    def pools(self) -> dict[str, str]:
        """Segment of each small slice that is judged with others to the segment of these."""
        return {
            segment_name((), key, value): segment_name((), key, OTHERS)
            for key in self.pooled
            for value in self.small[key]
        }


def plan(
    segments: Mapping[str, Segment], *, policy: GatePolicy, problem: Target, champion: int | None,
    versions: Sequence[int], slices: Sequence[str], costs: ErrorCosts | None = None,
) -> Plan:  # fmt: skip
    """Return what to compare, by the size of the slices; as `ml.evaluation.slices.sorted_by_size`."""
    found = Plan(policy=policy, problem=problem, champion=champion, versions=tuple(versions), costs=costs)
    judged: dict[str, tuple[str | None, ...]] = {}
    small: dict[str, tuple[str | None, ...]] = {}
    pooled = set()
    for key in slices:
        own = sorted((one for one in segments.values() if one.identity[1] == key), key=lambda one: str(one.identity[2]))
        large = [one for one in own if _is_large([one], policy, problem)]
        rest = [one for one in own if one not in large]
        judged[key] = tuple(one.identity[2] for one in large)
        small[key] = tuple(one.identity[2] for one in rest)
        if len(rest) > 1 and _is_large(rest, policy, problem):
            pooled.add(key)
    return replace(found, judged=judged, small=small, pooled=frozenset(pooled))


def _is_large(together: Sequence[Segment], policy: GatePolicy, problem: Target) -> bool:
    """Return whether segments are large enough to be judged as one."""
    classes = np.sum([one.class_rows for one in together], axis=0)
    return large_enough(sum(one.rows for one in together), float(min(classes, default=0.0)), policy, problem)


def with_pools(segments: Mapping[str, Segment], planned: Plan) -> dict[str, Segment]:
    """Return the segments with those in which small slices are judged together."""
    found = dict(segments)
    for key in planned.pooled:
        name = segment_name((), key, OTHERS)
        found[name] = pooled_segment(name, [segments[segment_name((), key, value)] for value in planned.small[key]])
    return found


def evaluate_summary(
    *,
    evaluation_id: str,
    model: str,
    segments: Mapping[str, Segment],
    errors: Mapping[str, Errors],
    planned: Plan,
    rows: EvaluatedRows,
    contenders: Sequence[Contender],
    facts: Mapping[int, ScoreFacts],
    seed: int,
    clusters: Clusters = INDEPENDENT_DAYS,
    weight_column: str = "",
) -> Evaluation:
    """Measure every contender and compare each candidate with the champion, as `evaluate_contenders.evaluate`.

    Parameters
    ----------
    segments, errors
        Of the passes over the rows, with `planned.quantities`.
    contenders
        Candidates and, if there is one, the champion; their scores are in the summary.
    facts
        Version to what its scores are like, except for how many are distinct; a version that was not scored has none.
    weight_column
        The declared name of the weights, if rows have any.
    """
    policy, problem, whole = planned.policy, planned.problem, segments[WHOLE]
    known = {
        version: with_distinct(one, whole, score_column(version)) if version in planned.versions else one
        for version, one in facts.items()
    }
    failures = {
        c.version: fault_of(c, known.get(c.version), rows.older.get(c.version, 0), rows.digest, problem)
        for c in contenders
    }
    incomplete = incomplete_because(rows.rows, planned.champion, {c.version for c in contenders}, failures)
    comparing = _Comparing(segments=segments, errors=errors, plan=planned, failures=failures)
    return Evaluation(
        evaluation_id=evaluation_id,
        model=model,
        problem=problem,
        policy=policy.name,
        policy_digest=policy.digest,
        metric=policy.metric,
        seed=seed,
        rows=rows.rows,
        positives=_whole_number(whole.positives),
        days=whole.days,
        label_spread=whole.label_spread,
        window_start=rows.first.isoformat(),
        window_end=rows.last.isoformat(),
        keys_digest=rows.digest,
        champion=planned.champion,
        constant=dict(_constants(whole, policy)),
        contenders=tuple(_measured(c, segments, failures[c.version], planned) for c in contenders),
        comparisons=() if incomplete else tuple(comparing.comparisons()),
        label_counts=rows.label_counts,
        incomplete_because=incomplete,
        entities=rows.entities,
        day_memory=clusters.day_memory,
        costs=planned.costs,
        weights=_worth(weight_column, errors[WHOLE]) if whole.layout.weight else None,
        small_slices=() if incomplete else tuple(comparing.small_slices()),
        metric_bound=max((whole.value(policy.metric, score_column(v))[1] for v in comparing.sound), default=0.0),
    )


@dataclass(frozen=True, kw_only=True)
class _Comparing:
    segments: Mapping[str, Segment]
    errors: Mapping[str, Errors]
    plan: Plan
    failures: Mapping[int, Fault | None]

    @property
    def sound(self) -> list[int]:
        """The versions that count."""
        return [version for version in self.plan.versions if self.failures[version] is None]

    @property
    def candidates(self) -> list[int]:
        return [version for version in self.sound if version != self.plan.champion]

    def comparisons(self) -> Iterator[Comparison]:
        policy, champion = self.plan.policy, self.plan.champion
        main = self.plan.metric(policy.metric)
        for version in self.candidates:
            yield from self._one(Subject(candidate=version, against=None, metric=main), WHOLE, CONSTANT)
            if champion is None:
                continue
            for subject, name in self._subjects(version, champion):
                yield from self._one(subject, name, score_column(champion))

    def _subjects(self, candidate: int, champion: int) -> Iterator[tuple[Subject, str]]:
        policy = self.plan.policy
        for name in policy.compared:
            compared = self.plan.metric(name)
            whole = Subject(candidate=candidate, against=champion, metric=compared)
            unit = _distance_to_perfect(self.segments[WHOLE], compared)
            guarded = sum(rail.tolerance for rail in policy.guard_rails if rail.metric == name)
            margin = policy.margin if name == policy.metric else 0.0
            yield replace(whole, margin=margin, tolerance=guarded * unit), WHOLE
            tolerance = (policy.slice_tolerance or 0.0) * unit
            for key, values in self.plan.judged.items():
                for value in (*values, *((OTHERS,) if key in self.plan.pooled else ())):
                    subject = replace(whole, slice_key=key, slice_value=_named(value), tolerance=tolerance)
                    yield subject, segment_name((), key, value)

    def _one(self, subject: Subject, name: str, against: str) -> Iterator[Comparison]:
        """Yield the comparison; nothing if the rows do not define it."""
        policy, segment, errors = self.plan.policy, self.segments[name], self.errors[name]
        method = method_for(policy.method, subject, segment.days)
        few = any(errors.sums.effective(entity) < policy.minimum_entities for entity in errors.sums.entities)
        try:
            found = errors.difference(
                (subject.metric.name, score_column(subject.candidate), against), by_unit=method.by_day,
                entities=subject.slice_key is None or not few,
            )  # fmt: skip
        except MetricError:
            return
        yield compare_sums(subject, found, method=method, rows=segment.rows)

    def small_slices(self) -> Iterator[SmallSlice]:
        champion, policy = self.plan.champion, self.plan.policy
        if champion is None:
            return
        compared = self.plan.metric(policy.metric)
        unit = _distance_to_perfect(self.segments[WHOLE], compared)
        for version in self.candidates:
            tolerance = (policy.slice_tolerance or 0.0) * unit
            subject = Subject(candidate=version, against=champion, metric=compared, tolerance=tolerance)
            for key, values in self.plan.small.items():
                for value in values:
                    yield self._small_slice(subject, key, value, unit)

    def _small_slice(self, subject: Subject, key: str, value: str | None, unit: float) -> SmallSlice:
        segment, errors = (found[segment_name((), key, value)] for found in (self.segments, self.errors))
        assert isinstance(segment, Segment)  # noqa: S101 - narrows the type for mypy
        assert isinstance(errors, Errors)  # noqa: S101 - narrows the type for mypy
        rarer = _whole_number(min(segment.class_rows, default=None))
        try:
            quantity = subject.metric.name, score_column(subject.candidate), score_column(subject.against or 0)
            difference = errors.difference(quantity, by_unit=False)
            counted = segment.rows if subject.metric.rankings is None or rarer is None else rarer
            freedom = float(counted - 1)
            found = replace(difference, value=subject.metric.sign * difference.value, degrees_of_freedom=freedom)
        except MetricError:
            found = None
        return small_slice_record(
            subject, key=key, value=_named(value), rows=segment.rows, rarer=rarer,
            pooled=key in self.plan.pooled, found=found, unit=unit,
        )  # fmt: skip


def _worth(column: str, errors: Errors) -> WeightCounts:
    rows, rarer, days = errors.worth
    return WeightCounts(column=column, rows=rows, rarer=rarer, days=days)


def with_distinct(facts: ScoreFacts, whole: Segment, column: str) -> ScoreFacts:
    """Return the facts with the number of distinct scores: of few, each has a cell of its own.

    As `ml.evaluation.contender.ScoreFacts.of`: where every class has one probability, the scores are one.
    """
    distinct = [whole.table(score_part(one)).distinct for one in whole.layout.columns_of(column)]
    alike = all(values.size == 1 for values in distinct)
    return replace(facts, distinct=1 if alike else int(np.unique(np.concatenate(distinct)).size))


def _measured(
    contender: Contender, segments: Mapping[str, Segment], failure: Fault | None, planned: Plan
) -> EvaluatedContender:
    column = score_column(contender.version)
    sound = failure is None
    return EvaluatedContender(
        version=contender.version,
        estimator=contender.estimator,
        trained_until=contender.trained_until.isoformat() if contender.trained_until is not None else None,
        overlap_rows=contender.overlap_rows,
        seconds_per_1000_rows=contender.seconds_per_1000_rows,
        metrics=segments[WHOLE].values(column) if sound else {},
        slices=tuple(_slice_metrics(segments, column, planned)) if sound else (),
        failure_kind=failure[0] if failure else None,
        failure=failure[1] if failure else None,
    )


def _slice_metrics(segments: Mapping[str, Segment], column: str, planned: Plan) -> Iterator[SliceMetrics]:
    for key, values in planned.judged.items():
        for value in sorted((*values, *planned.small[key]), key=_named):
            segment = segments[segment_name((), key, value)]
            yield SliceMetrics(
                slice_key=key,
                slice_value=_named(value),
                rows=segment.rows,
                positives=_whole_number(segment.positives),
                metrics=segment.values(column),
            )


def _constants(whole: Segment, policy: GatePolicy) -> Iterator[tuple[str, float]]:
    for name in policy.compared:
        try:
            yield name, whole.value(name, CONSTANT)[0]
        except MetricError:
            continue


def _distance_to_perfect(whole: Segment, compared: Metric) -> float:
    try:
        return abs(compared.perfect - whole.value(compared.name, CONSTANT)[0])
    except MetricError:
        return 0.0


def _whole_number(count: float | None) -> int | None:
    return None if count is None else int(count)


def _named(value: str | None) -> str:
    return "missing" if value is None else value
