"""The same evaluation and measurements from rows and from summaries, and that both are equal; shared by tests of tasks."""

import math
from typing import Any

import pytest

from ml.evaluation.record import Evaluation
from ml.gate.decision import decide
from ml.spec.costs import ErrorCosts
from ml.spec.gate_policy import GatePolicy
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.tasks import row_limits
from pipelines.tasks.versions.evaluation import evaluation_of
from tests.pipelines.use_case_runs import rows_of


def measured(lakehouse: Lakehouse, declared: UseCase, name: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The rows of a table of measurements by what they are about, without the instant at which they were made."""
    rows = rows_of(lakehouse, declared, name)
    identity = ("window_start", "alias", "model_version", "metric", "slice_key", "slice_value")
    return {tuple(row.get(key) for key in identity): {**row, "computed_at": None} for row in rows}


def assert_equal_within(exact: dict[str, Any], found: dict[str, Any], tolerance: float, where: Any) -> None:
    """Numbers within a share of their size, everything else equal."""
    assert exact.keys() == found.keys()
    for name, value in exact.items():
        if isinstance(value, float) and isinstance(found[name], float):
            assert math.isclose(value, found[name], rel_tol=tolerance, abs_tol=tolerance), (where, name)
        else:
            assert value == found[name], (where, name)


def evaluated_both_ways(
    context: Context, monkeypatch: pytest.MonkeyPatch, champion: int | None
) -> tuple[Evaluation, Evaluation, list[dict[str, Any]], list[dict[str, Any]]]:
    """The exact evaluation of every version of the run and the one from summaries, and the metrics rows of both."""
    models, model = context.lakehouse.models, context.use_case.model
    own = {v.number: v for v in models.versions(model) if v.tags["training_set_id"] == context.run_id}
    if champion is not None:
        own[champion] = models.version(model, champion)
    exact = evaluation_of(context, own, champion, seed=1)
    monkeypatch.setattr(row_limits, "EXACT_ROWS", 300)
    found = evaluation_of(context, own, champion, seed=1)
    assert exact.evaluation.metric_bound is None
    assert found.evaluation.metric_bound is not None
    return exact.evaluation, found.evaluation, exact.metrics, found.metrics


def assert_equal_verdicts(
    exact: Evaluation, found: Evaluation, gate: GatePolicy, tolerance: float, costs: ErrorCosts | None = None
) -> None:
    """The same outcome by the same rules, without the time that scoring took."""
    one, other = decide(exact, gate, costs), decide(found, gate, costs)
    assert (one.outcome, one.promoted, one.challenger) == (other.outcome, other.promoted, other.challenger)
    for reason, again in zip(one.reasons, other.reasons, strict=True):
        if reason.rule != "latency":
            named = {"rule": reason.rule, "candidate": reason.candidate, "passed": reason.passed, "value": reason.value}
            assert_equal_within(named, {name: getattr(again, name) for name in named}, tolerance, reason.sentence)


def assert_equal_evaluations(exact: Evaluation, found: Evaluation, tolerance: float, *, whole: float = 1e-9) -> None:
    """Everything that was measured is equal within a tolerance, metrics of all rows within another, whatever their order."""
    assert [c.version for c in found.contenders] == [c.version for c in exact.contenders]
    for one, other in zip(exact.contenders, found.contenders, strict=True):
        assert (one.failure_kind, one.failure, one.overlap_rows) == (
            other.failure_kind,
            other.failure,
            other.overlap_rows,
        )
        assert_equal_within(dict(one.metrics), dict(other.metrics), whole, one.version)
        for mine, theirs in zip(one.slices, other.slices, strict=True):
            assert (mine.slice_key, mine.slice_value, mine.rows) == (theirs.slice_key, theirs.slice_value, theirs.rows)
            assert_equal_within(dict(mine.metrics), dict(theirs.metrics), tolerance, mine.slice_value)
    assert len(exact.comparisons) == len(found.comparisons) > 0
    for compared, again in zip(exact.comparisons, found.comparisons, strict=True):
        assert_equal_within(vars(compared), vars(again), tolerance, (compared.metric, compared.slice_value))
    for small, again_small in zip(exact.small_slices, found.small_slices, strict=True):
        assert_equal_within(vars(small), vars(again_small), tolerance, small.slice_value)
    assert found.entities == exact.entities
    counted = ("rows", "positives", "days", "label_spread", "window_start", "window_end", "label_counts", "champion")
    pairs = {name: (getattr(exact, name), getattr(found, name)) for name in counted}
    assert_equal_within(
        {name: one for name, (one, _) in pairs.items()}, {name: one for name, (_, one) in pairs.items()}, 1e-9, "whole"
    )
    assert_equal_within(dict(exact.constant), dict(found.constant), 1e-9, "constant")
