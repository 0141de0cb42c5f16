"""The report: what happened in production month by month, and why each decision was taken, as one page of HTML.

Pure: plain records in, text out. The page needs nothing but itself: no script, no font, no address. What its sections
show is worked out in the modules `pipelines.report.quality`, `pipelines.report.decisions` and `pipelines.report.operations`; how it looks
stands in ``templates``.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from scipy import special

from ml.metrics.quality_metrics import metric
from ml.spec.estimator import Problem
from pipelines.report import decisions as report_decisions
from pipelines.report import estimates as report_estimates
from pipelines.report import operations as report_operations
from pipelines.report import quality as report_quality
from pipelines.report import wording as report_words
from pipelines.report.charts import NARROW, Series, line_chart
from pipelines.report.comparison import TOP_SHARE, mean_difference
from pipelines.report.estimates import EstimateTable
from pipelines.report.quality import Measured, Month
from pipelines.report.records import ReportRecords

REACH = float(special.ndtri(0.975))
"""Standard errors from a value to the end of its 95% interval."""
STRONGEST = 0.62
"""Opacity of the strongest cell of a heat map; more would make its number hard to read."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What was predicted, by which models, and what it was worth, over all months.

    Attributes
    ----------
    champion, baseline
        Mean over the months of the policy's metric.
    top, overall
        Mean label of the tenth with the highest scores, and of all; weighted by labels.
    """

    predictions: int
    labelled: int
    versions: tuple[int, ...]
    champion: float | None
    baseline: float | None
    top: float | None
    overall: float | None


def render(records: ReportRecords) -> str:
    """Return the page.

    Parameters
    ----------
    records
        What the tables and the registry of the environments say.

    Raises
    ------
    ValueError
        If the environment that is to be told of is not among them.
    """
    told = records.told
    months = report_quality.months(records)
    verdicts = report_decisions.gate_decisions(told)
    starts = tuple(month.start for month in months)
    jobs = report_operations.job_runs(told)
    outcomes = [month.outcome for month in months if month.outcome is not None]
    estimated = report_estimates.estimate_tables(records)
    return _environment().get_template("report.html").render(
        records=records,
        told=told,
        binary=records.problem is Problem.BINARY,
        top_share=TOP_SHARE,
        months=months,
        headline=headline(months),
        beside=_beside(months),
        retraining=report_words.retraining_sentences(outcomes, records.policy.metric),
        mean=mean_difference(outcomes),
        worse_than_constant=_worse_than_constant(months, report_quality.secondary_metric(records)),
        charts={**_charts(records, months), "estimate": _estimate_chart(estimated)},
        estimated=estimated,
        secondary=report_quality.secondary_metric(records),
        secondary_direction=_direction(report_quality.secondary_metric(records)),
        slices=report_quality.slice_tables(records, months),
        verdicts=verdicts,
        decisions=report_decisions.decisions(told, verdicts),
        drift=report_decisions.drift_grid(records, starts),
        findings=report_decisions.all_findings(told),
        told_findings=report_decisions.told_findings(told),
        sources=report_operations.source_counts(told),
        quarantine=report_operations.quarantine_reasons(told),
        jobs=jobs,
        run_months=report_operations.run_months(jobs),
        environments=[report_operations.summary(environment, records) for environment in records.environments],
        table_versions=report_operations.table_versions,
    )  # fmt: skip


def headline(months: Sequence[Month]) -> Headline:
    """Return the figures over all months."""
    outcomes = [m.outcome for m in months if m.outcome is not None and m.outcome.mean_label is not None]
    labelled = sum(o.labelled for o in outcomes)
    return Headline(
        predictions=sum(m.champion.predictions for m in months),
        labelled=sum(m.champion.labelled for m in months),
        versions=tuple(dict.fromkeys(m.champion.version for m in months)),
        champion=_mean([m.champion.value for m in months]),
        baseline=_mean([m.baseline.value for m in months if m.baseline is not None]),
        top=sum(o.labelled * (o.top_label or 0.0) for o in outcomes) / labelled if labelled else None,
        overall=sum(o.labelled * (o.mean_label or 0.0) for o in outcomes) / labelled if labelled else None,
    )


def _worse_than_constant(months: Sequence[Month], name: str | None) -> tuple[dt.datetime, ...]:
    """Return the months in which a constant would have done better in the second metric."""
    if name is None:
        return ()
    sign = metric(name).sign
    return tuple(
        m.start
        for m in months
        if m.secondary is not None and m.secondary.value is not None
        if m.outcome is not None and m.outcome.constant is not None
        if sign * (m.secondary.value - m.outcome.constant) < 0
    )


def _direction(name: str | None) -> str:
    return "higher is better" if name is not None and metric(name).higher_is_better else "lower is better"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _charts(records: ReportRecords, months: Sequence[Month]) -> Mapping[str, str]:
    """Return the charts by name; one that has nothing to show is empty."""
    name = report_words.metric_label(records.policy.metric)
    second = report_words.metric_label(report_quality.secondary_metric(records) or "")
    columns = [f"{month.start:%b}" for month in months]
    marks = {
        place: f"v{before.champion.version} → v{month.champion.version}"
        for place, (before, month) in enumerate(pairwise(months), start=1)
        if month.changed
    }
    outcomes = [month.outcome for month in months]
    beside = _beside(months)
    constant = Series(label="best constant", style="constant", values=[o.constant if o else None for o in outcomes])
    return {
        "quality": line_chart(
            name="quality", columns=columns, marks=marks,
            description=f"{name} per month of the live champion{' and of the model that was never retrained' if beside else ''}",
            series=(*([_series("never retrained", "baseline", [m.baseline for m in months])] if beside else []),
                    _series("live champion", "champion", [m.champion for m in months])),
        ),
        "secondary": line_chart(
            name="secondary", columns=columns, width=NARROW, description=f"{second} per month",
            series=(constant,
                    *([_series("never retrained", "baseline", [m.baseline_secondary for m in months])] if beside else []),
                    _series("live champion", "champion", [m.secondary for m in months])),
        ),
        "rate": line_chart(
            name="rate", columns=columns, width=NARROW, description="observed and predicted mean per month",
            series=(Series(label="observed", style="observed", values=[o.mean_label if o else None for o in outcomes]),
                    Series(label="predicted", style="champion", values=[o.mean_score if o else None for o in outcomes])),
        ),
    }  # fmt: skip


def _estimate_chart(tables: Sequence[EstimateTable]) -> str:
    """Return the chart of the metric that decides; empty if nothing was estimated."""
    if not tables:
        return ""
    rows, name = tables[0].rows, report_words.metric_label(tables[0].metric)
    return line_chart(
        name="estimate", columns=[f"{row.start:%b}" for row in rows],
        description=f"{name} per month as estimated without labels, and as the labels then said",
        series=(
            Series(label="estimated", style="constant", values=[row.estimated for row in rows]),
            Series(label="realised", style="champion", values=[row.realised for row in rows],
                   reaches=[REACH * row.standard_error if row.standard_error else None for row in rows]),
        ),
    )  # fmt: skip


def _beside(months: Sequence[Month]) -> bool:
    """Return whether a model that was never retrained scored beside the champion."""
    return any(month.baseline is not None for month in months)


def _series(label: str, style: str, measured: Sequence[Measured | None]) -> Series:
    return Series(
        label=label, style=style, values=[m.value if m else None for m in measured],
        reaches=[None if m is None or m.standard_error is None else REACH * m.standard_error for m in measured],
    )  # fmt: skip


def _heat(value: float | None, largest: float) -> str:
    """Return the opacity of a heat map's cell."""
    return "0" if value is None or largest <= 0 else f"{STRONGEST * min(1.0, abs(value) / largest):.2f}"


def _day(instant: dt.datetime | str | None) -> str:
    return report_words.NOTHING if not instant else str(instant)[:10]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipelines.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "metric": report_words.metric_label, "month": report_words.month_label, "whole": report_words.whole,
        "fixed": report_words.fixed, "signed": report_words.signed, "percent": report_words.percent,
        "plain": report_words.plain, "duration": report_words.duration, "heat": _heat, "day": _day,
        "words": report_words.words, "sentence": report_words.sentence, "enumerated": report_words.enumerated,
        "cause": report_words.cause, "months": report_words.months,
    }  # fmt: skip
    environment.filters.update(filters)
    environment.globals.update(counted=report_words.counted)
    return environment
