"""The charts of the page: quality by month, rates, and estimated metrics, each as SVG or empty."""

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import pairwise

from scipy import special

from ml.metrics.metric_labels import metric_label
from pipelines.report.charts import NARROW, Series, line_chart
from pipelines.report.records import Maturity, ReportRecords
from pipelines.report.sections.estimates import EstimateTable
from pipelines.report.sections.quality import Measured, Month, secondary_metric

MATURITY_STYLES = ("champion", "observed", "constant", "baseline")
REACH = float(special.ndtri(0.975))
"""Standard errors from a value to the end of its 95% interval."""


def month_charts(records: ReportRecords, months: Sequence[Month]) -> Mapping[str, str]:
    """Return the charts by name; one that has nothing to show is empty."""
    name = metric_label(records.policy.metric)
    second = metric_label(secondary_metric(records) or "")
    columns = [_short(month.start, records.window) for month in months]
    marks = {
        place: f"v{before.champion.version} → v{month.champion.version}"
        for place, (before, month) in enumerate(pairwise(months), start=1)
        if month.changed
    }
    outcomes = [month.outcome for month in months]
    compared = has_baseline(months)
    constant = Series(label="best constant", style="constant", values=[o.constant if o else None for o in outcomes])
    return {
        "quality": line_chart(
            name="quality", columns=columns, marks=marks,
            description=f"{name} per month of the live champion{' and of the model that was never retrained' if compared else ''}",
            series=(*([_series("never retrained", "baseline", [m.baseline for m in months])] if compared else []),
                    _series("live champion", "champion", [m.champion for m in months])),
        ),
        "secondary": line_chart(
            name="secondary", columns=columns, width=NARROW, description=f"{second} per month",
            series=(constant,
                    *([_series("never retrained", "baseline", [m.baseline_secondary for m in months])] if compared else []),
                    _series("live champion", "champion", [m.secondary for m in months])),
        ),
        "rate": line_chart(
            name="rate", columns=columns, width=NARROW, description="observed and predicted mean per month",
            series=(Series(label="observed", style="observed", values=[o.mean_label if o else None for o in outcomes]),
                    Series(label="predicted", style="champion", values=[o.mean_score if o else None for o in outcomes])),
        ),
    }  # fmt: skip


def estimate_chart(tables: Sequence[EstimateTable], length: str = "month") -> str:
    """Return the chart of the metric that decides; empty if nothing was estimated."""
    if not tables:
        return ""
    rows, name = tables[0].rows, metric_label(tables[0].metric)
    return line_chart(
        name="estimate", columns=[_short(row.start, length) for row in rows],
        description=f"{name} per {length} as estimated without labels, and as realised on labels",
        series=(
            Series(label="estimated", style="constant", values=[row.estimated for row in rows]),
            Series(label="realised", style="champion", values=[row.realised for row in rows],
                   reaches=[REACH * row.standard_error if row.standard_error else None for row in rows]),
        ),
    )  # fmt: skip


def maturity_chart(maturity: Maturity | None) -> str:
    """Return the chart of the share of outcomes known by age; empty without requests that are old enough."""
    if maturity is None:
        return ""
    return line_chart(
        name="maturity", columns=[str(age) for age in range(maturity.horizon_days + 1)], digits=2,
        marks={maturity.due_days + 1: "due"},  # what is known at that age is in time
        description="share of the requests whose outcome is known, by the days since the prediction",
        series=[
            Series(label=group, style=style, values=maturity.shares(group))
            for style, group in maturity_legend(maturity)
        ],
    )  # fmt: skip


def maturity_legend(maturity: Maturity | None) -> list[tuple[str, str]]:
    """Return the style and the group of each line of that chart."""
    return list(zip(MATURITY_STYLES, maturity.requests if maturity else (), strict=False))


def _short(start: dt.datetime, length: str) -> str:
    """Return a window's name under a chart: a month without its year, a week or a day by its first day."""
    return f"{start:%b}" if length == "month" else f"{start:%-d %b}"


def has_baseline(months: Sequence[Month]) -> bool:
    """Return whether a model that was never retrained scored the same requests as the champion."""
    return any(month.baseline is not None for month in months)


def _series(label: str, style: str, measured: Sequence[Measured | None]) -> Series:
    return Series(
        label=label, style=style, values=[m.value if m else None for m in measured],
        reaches=[None if m is None or m.standard_error is None else REACH * m.standard_error for m in measured],
    )  # fmt: skip
