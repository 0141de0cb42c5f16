"""The report as one page of HTML: what happened in an environment month by month, and why each decision was taken.

Pure: plain records in, text out. The page is one file without a script, a font or an address of another one. The
contents of its sections come from the modules `quality`, `estimates`, `decisions`, `served`, `findings` and `operations`; the
layout is in ``templates``.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from ml.metrics.metric_labels import metric_label, readable
from ml.monitoring.findings import ALL_ROWS, OF_A_DAY, WHOLE_TABLE
from ml.spec.metric_names import higher_is_better
from ml.spec.target import MultiClass
from pipelines.report import wording as report_words
from pipelines.report.comparison import TOP_SHARE, mean_difference
from pipelines.report.page_charts import estimate_chart, has_baseline, maturity_chart, maturity_legend, month_charts
from pipelines.report.records import ReportRecords
from pipelines.report.sections import cards as report_cards
from pipelines.report.sections import classes as report_classes
from pipelines.report.sections import decisions as report_decisions
from pipelines.report.sections import estimates as report_estimates
from pipelines.report.sections import findings as report_findings
from pipelines.report.sections import operations as report_operations
from pipelines.report.sections import quality as report_quality
from pipelines.report.sections import served as report_served
from pipelines.report.sections import skew as report_skew
from pipelines.report.sections.decisions import Way
from pipelines.report.sections.quality import Month
from pipelines.report.sections.slice_plot import drawn, slice_plot

STRONGEST = 0.62
"""Opacity of the strongest cell of a heat map; more would make its number hard to read."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """Predictions, the versions that made them, and their quality, over all months.

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
        The contents of the tables and registries of the environments.

    Raises
    ------
    ValueError
        If the environment reported month by month is not among them.
    """
    environment = records.main_environment
    months = report_quality.months(records)
    verdicts = report_decisions.gate_decisions(environment, records.policy)
    starts = tuple(month.start for month in months)
    jobs = report_operations.job_runs(environment)
    outcomes = [month.outcome for month in months if month.outcome is not None]
    estimated = report_estimates.estimate_tables(records)
    stages = report_served.served_stages(environment.served, records.policy)
    cards = report_cards.model_cards(environment)
    return page_templates().get_template("report.html").render(
        records=records,
        environment=environment,
        binary=bool(records.problem.classes),
        several=isinstance(records.problem, MultiClass),
        classes=report_classes.class_tables(records, months),
        top_share=TOP_SHARE,
        months=months,
        headline=headline(months),
        compared=has_baseline(months),
        retraining=report_words.retraining_sentences(
            outcomes, records.policy.metric, share=environment.scored.share if environment.scored else 1.0
        ),
        mean=mean_difference(outcomes),
        worse_than_constant=_worse_than_constant(months, report_quality.secondary_metric(records)),
        charts={**month_charts(records, months), "estimate": estimate_chart(estimated, records.window),
                "maturity": maturity_chart(environment.maturity), "served": report_served.latency_chart(stages)},
        maturity_legend=maturity_legend(environment.maturity),
        estimated=estimated,
        secondary=report_quality.secondary_metric(records),
        secondary_direction=_direction(report_quality.secondary_metric(records)),
        stages=stages,
        latency_legend=[(style, role) for role, style in report_served.latency_legend(stages)],
        slices=report_quality.slice_tables(records, months),
        verdicts=verdicts,
        decisions=report_decisions.decisions(environment, verdicts),
        drift=report_findings.drift_grid(records, starts),
        findings=report_findings.all_findings(environment),
        table_findings=report_findings.table_findings(environment),
        looks={f"{Way.ROLLOUT} {look.run_id}": f"look-{look.run_id}" for stage in stages for look in stage.looks if look.run_id},
        cards=cards, carded={card.version: card.decided_at for card in cards},
        skew=report_skew.compared_sets(environment),
        sources=report_operations.source_counts(environment),
        quarantine=report_operations.quarantine_reasons(environment),
        jobs=jobs,
        failures=[f"{job.job}, {error}" for job in jobs for error in job.errors],
        unit=f" in {records.unit}" if records.unit else "",
        label_unit=report_words.in_label_unit(records),
        run_months=report_operations.run_months(jobs),
        environments=[report_operations.summary(one, records) for one in records.environments],
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
    sign = 1.0 if higher_is_better(name) else -1.0
    return tuple(
        m.start
        for m in months
        if m.secondary is not None and m.secondary.value is not None
        if m.outcome is not None and m.outcome.constant is not None
        if sign * (m.secondary.value - m.outcome.constant) < 0
    )


def _direction(name: str | None) -> str:
    return "higher is better" if name is not None and higher_is_better(name) else "lower is better"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _heat(value: float | None, largest: float) -> str:
    """Return the opacity of a heat map's cell."""
    return "0" if value is None or largest <= 0 else f"{STRONGEST * min(1.0, abs(value) / largest):.2f}"


@pass_context
def _window(context: Context, instant: dt.datetime) -> str:
    """Return a window of the report by its start."""
    return report_words.window_label(instant, context["records"].window)


@pass_context
def _in_unit(context: Context, name: str) -> str:
    """Return the unit of a metric of the report, to stand after its name."""
    return report_words.in_unit(name, context["records"])


def _where(finding: Mapping[str, Any]) -> str:
    """Return what a finding is about: a slice, a column or all rows."""
    if finding["slice_key"] != ALL_ROWS:
        return f"{report_words.words(finding['slice_key'])} = {finding['slice_value']}"
    return "all rows" if finding["column_name"] == WHOLE_TABLE else report_words.words(finding["column_name"])


@pass_context
def _of_window(context: Context, finding: Mapping[str, Any]) -> str:
    """Return the window of a finding: a day where the daily alarm found it."""
    length = "day" if finding["kind"] in OF_A_DAY else context["records"].window
    return report_words.window_label(finding["window_start"], length)


def _day(instant: dt.datetime | str | None) -> str:
    return report_words.NOTHING if not instant else str(instant)[:10]


@cache
def page_templates() -> Environment:
    """Return the templates of all pages, with their filters."""
    environment = Environment(
        loader=PackageLoader("pipelines.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "metric": metric_label, "month": report_words.month_label, "whole": report_words.whole,
        "fixed": report_words.fixed, "signed": report_words.signed, "percent": report_words.percent,
        "plain": report_words.plain, "duration": report_words.duration, "heat": _heat, "day": _day,
        "words": report_words.words, "sentence": report_words.sentence, "enumerated": report_words.enumerated,
        "cause": report_words.cause, "months": report_words.months, "window": _window, "of_window": _of_window,
        "window_label": report_words.window_label, "in_unit": _in_unit, "where": _where, "share": report_words.share,
        "readable": readable,
    }  # fmt: skip
    environment.filters.update(filters)
    environment.globals.update(counted=report_words.counted, slice_plot=slice_plot, drawn=drawn)
    return environment
