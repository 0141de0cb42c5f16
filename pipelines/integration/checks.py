"""Checks what an integration run has written. Pure: a small record of counts in, one result per check out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ml.spec.target import Target
from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult

SHARES = frozenset({"roc_auc_score", "average_precision_score", "brier_loss", "expected_calibration_error"})
"""Metrics of a binary problem that lie between 0 and 1; every other one only has to be a number."""


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """The deliveries of one source, summed."""

    source: str
    read: int
    kept: int
    quarantined: int


@dataclass(frozen=True, kw_only=True)
class MetricSummary:
    """The values of one metric over whole windows.

    Attributes
    ----------
    rows
        Measurements on at least one label.
    without_value
        Those of them that have no value, or one that is no number.
    minimum, maximum
        Of the others; None if there are none.
    """

    metric: str
    rows: int
    without_value: int
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, kw_only=True)
class RunContents:
    """What the tables hold of an integration run.

    Attributes
    ----------
    predictions, prediction_keys
        Of the champion in the window that was scored, and how many distinct requests they are for.
    verdicts
        About the evaluation of the run.
    measured
        One summary per metric.
    columns
        Name and type of every stored column, by address of the table; None for a table that does not exist.
    """

    ingested: tuple[Ingested, ...]
    predictions: int
    prediction_keys: int
    verdicts: int
    measured: tuple[MetricSummary, ...]
    columns: Mapping[str, tuple[tuple[str, str], ...] | None]


def check_contents(use_case: UseCase, contents: RunContents) -> tuple[CheckResult, ...]:
    """Return every check of what a run has written, in the order of the jobs.

    Parameters
    ----------
    use_case
        The use case whose jobs ran.
    contents
        What its tables hold of this run.
    """
    sources = {one.source: one for one in contents.ingested}
    metrics = {one.metric: one for one in contents.measured}
    return (
        *(_source(source.name, sources.get(source.name)) for source in use_case.sources),
        _verdict(contents),
        _predictions(contents),
        _gate_metric(use_case, metrics),
        *(_metric(one, use_case.problem) for _, one in sorted(metrics.items())),
        *(_table(table, contents.columns.get(table.address)) for table in use_case.tables),
    )


def _source(name: str, one: Ingested | None) -> CheckResult:
    about = f"source {name}"
    if one is None or one.read == 0:
        return CheckResult(about=about, held=False, found="no rows were read: the window must have some")
    return CheckResult(
        about=about,
        held=one.read == one.kept + one.quarantined and one.kept > 0,
        found=f"{one.read:,} read, {one.kept:,} kept, {one.quarantined:,} quarantined",
    )


def _verdict(contents: RunContents) -> CheckResult:
    return CheckResult(
        about="verdict", held=contents.verdicts == 1, found=f"{contents.verdicts} about the run's evaluation"
    )


def _predictions(contents: RunContents) -> CheckResult:
    unique = contents.predictions == contents.prediction_keys
    return CheckResult(
        about="predictions",
        held=unique and contents.predictions > 0,
        found=f"{contents.predictions:,} predictions of {contents.prediction_keys:,} requests",
    )


def _gate_metric(use_case: UseCase, metrics: Mapping[str, MetricSummary]) -> CheckResult:
    """Return whether the metric was measured at all by which the gate decides."""
    name = use_case.gate.metric
    rows = metrics[name].rows if name in metrics else 0
    return CheckResult(about="measurements", held=rows > 0, found=f"{rows} of {name}, by which the gate decides")


def _metric(one: MetricSummary, problem: Target) -> CheckResult:
    lowest, highest = -math.inf, math.inf
    if one.metric in SHARES and problem.classes:
        lowest, highest = 0.0, 1.0
    elif one.metric.endswith("_score"):
        highest = 1.0
    inside = one.minimum is None or one.maximum is None or lowest <= one.minimum <= one.maximum <= highest
    numbers = (
        f"{one.minimum:.4f} to {one.maximum:.4f}" if one.minimum is not None and one.maximum is not None else "none"
    )
    lacking = f", {one.without_value} without a number" if one.without_value else ""
    return CheckResult(
        about=f"metric {one.metric}",
        held=inside and not one.without_value,
        found=f"{one.rows} values, {numbers}{lacking}",
    )


def _table(table: Table, stored: tuple[tuple[str, str], ...] | None) -> CheckResult:
    about = f"table {table.address}"
    if stored is None:
        return CheckResult(about=about, held=False, found="not there, though it is declared")
    declared, got = {c.name: c.type for c in table.columns}, dict(stored)
    wrong = [
        *(f"column {name} is missing" for name in declared if name not in got),
        *(f"column {name} is not declared" for name in got if name not in declared),
        *(f"column {n} is {got[n]}, declared {kind}" for n, kind in declared.items() if got.get(n, kind) != kind),
    ]
    return CheckResult(about=about, held=not wrong, found="; ".join(wrong) or f"{len(got)} columns as declared")
