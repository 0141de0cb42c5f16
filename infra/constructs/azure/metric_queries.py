"""The queries on the table of metrics in Log Analytics that alert rules and the workbook ask, made from the declared metrics.

A metric arrives as rows of the table ``AppMetrics``: ``Sum``, ``ItemCount`` and, of histograms, ``Max`` for each export, and its
attributes as texts in ``Properties`` (https://learn.microsoft.com/en-us/azure/azure-monitor/reference/tables/appmetrics).
A counter and a histogram are sent as what was added since the export before, a gauge as its value with the count 1. A test
compares the queries with what the exporter sends.
"""

from collections.abc import Mapping, Sequence

from pipelines.telemetry.attributes import STATUS, Attribute
from pipelines.telemetry.instruments import LATENCY, Instrument, InstrumentKind
from pipelines.telemetry.metric_alerts import Aggregation, MetricAlert

TABLE = "AppMetrics"
VALUE = "value"
BIN = "15m"
STANDARD_METRICS: Mapping[Instrument, Mapping[Attribute, str]] = {LATENCY: {STATUS: "request/resultCode"}}
"""Metrics that the exporter sends as a standard metric of Application Insights, and the only attributes that it keeps, each
under another name (azure-monitor-opentelemetry-exporter, ``_handle_std_metric_envelope``)."""


def alert_query(instrument: Instrument, alert: MetricAlert) -> str:
    """Return the query whose column `VALUE` an alert rule compares with the threshold, one row for each split."""
    lines = [*_rows(instrument), *_columns(instrument, alert.split_by)]
    if alert.at_least is not None:
        attribute, least = alert.at_least
        lines.append(f'| where toint(Properties["{_property(instrument, attribute)}"]) >= {least}')
    by = f" by {', '.join(map(column, alert.split_by))}" if alert.split_by else ""
    return "\n".join([*lines, f"| summarize {VALUE} = {_figure(instrument, alert.aggregation)}{by}"])


def chart_query(instrument: Instrument) -> str:
    """Return the query of the metric over time, one line for each value of what splits it first."""
    kept = [one for one in instrument.split_by if _is_kept(instrument, one)][:1]
    aggregation = {
        InstrumentKind.COUNTER: Aggregation.SUM, InstrumentKind.GAUGE: Aggregation.MAXIMUM,
        InstrumentKind.HISTOGRAM: Aggregation.MEAN,
    }[instrument.kind]  # fmt: skip
    by = ", ".join([f"bin(TimeGenerated, {BIN})", *map(column, kept)])
    summary = f"| summarize {VALUE} = {_figure(instrument, aggregation)} by {by}"
    return "\n".join([*_rows(instrument), *_columns(instrument, kept), summary])


def column(attribute: Attribute) -> str:
    """Return the name of the column that holds an attribute."""
    return attribute.name.replace(".", "_")


def _rows(instrument: Instrument) -> list[str]:
    return [TABLE, f'| where Name == "{instrument.name}"']


def _columns(instrument: Instrument, attributes: Sequence[Attribute]) -> list[str]:
    return [
        f'| extend {column(one)} = tostring(Properties["{_property(instrument, one)}"])'
        for one in attributes
    ]  # fmt: skip


def _property(instrument: Instrument, attribute: Attribute) -> str:
    """Return the name under which Azure Monitor keeps an attribute of a metric."""
    return STANDARD_METRICS.get(instrument, {}).get(attribute, attribute.name)


def _is_kept(instrument: Instrument, attribute: Attribute) -> bool:
    return instrument not in STANDARD_METRICS or attribute in STANDARD_METRICS[instrument]


def _figure(instrument: Instrument, aggregation: Aggregation) -> str:
    if aggregation is Aggregation.MAXIMUM:
        return "max(Max)" if instrument.kind is InstrumentKind.HISTOGRAM else "max(Sum)"
    return {
        Aggregation.SUM: "sum(Sum)", Aggregation.MEAN: "sum(Sum) / sum(ItemCount)", Aggregation.COUNT: "sum(ItemCount)",
    }[aggregation]  # fmt: skip
