"""The monitoring dashboard of a use case and the queries of its alerts, over the declared monitoring tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template

from pipelines.declarations.asset import Layer
from pipelines.declarations.use_case import UseCase

COLUMNS_OF_PAGE = 6


@dataclass(frozen=True, kw_only=True)
class AlertQuery:
    """The query of one number that should be zero, and what another value means."""

    name: str
    column: str
    query: str
    description: str


def alert_queries(use_case: UseCase, catalog: str) -> tuple[AlertQuery, ...]:
    """Return the alerts of a use case: new findings, and no scoring within the last day."""
    return (
        AlertQuery(
            name="findings",
            column="new_findings",
            query=_filled(NEW_FINDINGS, use_case, catalog),
            description=f"{use_case.name}: monitoring found something within the last day that it had not found before: drift, a "
            "fall in quality, skew, a sudden change or something that stopped",
        ),
        AlertQuery(
            name="silence",
            column="silent",
            query=_filled(SILENCE, use_case, catalog),
            description=f"{use_case.name}: nothing was scored within the last day",
        ),
    )


def monitoring_dashboard(use_case: UseCase, catalog: str) -> str:
    """Return the dashboard in the JSON of Databricks AI/BI dashboards.

    Parameters
    ----------
    use_case
        The use case whose monitoring tables are shown.
    catalog
        The environment's catalog.
    """
    metric = use_case.gate.metric.removesuffix("_score").replace("_", " ")
    widgets = [
        _line("quality", f"{metric} per window", x="window_start", y="value", colour="alias", row=0),
        _line("estimated", f"{metric}, estimated and realised", x="window_start", y="value", colour="source", row=6),
        _table("estimates", "Estimated without labels, and how far off", ESTIMATES, row=12),
        _line("volume", "Predictions per day", x="day", y="predictions", colour="model_version", row=18),
        _table(
            "findings", "Findings", ("window_start", "kind", "column_name", "statistic", "value", "message"), row=24
        ),
        _table(
            "verdicts", "Verdicts of the gate", ("decided_at", "outcome", "champion", "promoted", "sentence"), row=30
        ),
    ]
    dashboard = {
        "datasets": [
            {"name": name, "displayName": name, "queryLines": [_filled(query, use_case, catalog)]}
            for name, query in DATASETS.items()
        ],
        "pages": [{"name": "monitoring", "displayName": use_case.name, "layout": widgets}],
    }
    return json.dumps(dashboard, sort_keys=True)


NEW_FINDINGS = (
    "SELECT count(*) AS new_findings FROM (SELECT kind FROM $monitoring.findings_history "
    "GROUP BY window_start, kind, column_name, slice_key, slice_value, statistic "
    "HAVING min(recorded_at) >= current_timestamp() - INTERVAL 1 DAY AND NOT max_by(withdrawn, recorded_at))"
)
"""By when a finding was recorded first: the window of a fall that late labels show, or of skew, is long past by then."""
SILENCE = (
    "SELECT CASE WHEN max(scored_at) < current_timestamp() - INTERVAL 1 DAY THEN 1 ELSE 0 END AS silent "
    "FROM $inference.predictions"
)
DATASETS: Mapping[str, str] = {
    "quality": (
        "SELECT window_start, alias, avg(value) AS value FROM $monitoring.metrics "
        "WHERE slice_key = ':all' AND metric = '$metric' GROUP BY ALL ORDER BY window_start"
    ),
    "estimated": (
        "SELECT window_start, stack(2, 'estimated', estimated, 'realised', realised) AS (source, value) "
        "FROM $monitoring.estimates WHERE alias = 'champion' AND metric = '$metric' ORDER BY window_start"
    ),
    "estimates": (
        "SELECT window_start, model_version, metric, estimated, realised, error, standard_error, labelled, predictions "
        "FROM $monitoring.estimates WHERE alias = 'champion' ORDER BY window_start DESC, metric LIMIT 50"
    ),
    "findings": (
        "SELECT window_start, kind, column_name, statistic, value, threshold, since, message "
        "FROM $monitoring.findings ORDER BY window_end DESC LIMIT 200"
    ),
    "volume": (
        "SELECT date_trunc('day', scored_at) AS day, model_version, count(*) AS predictions "
        "FROM $inference.predictions GROUP BY ALL ORDER BY day"
    ),
    "verdicts": (
        "SELECT decided_at, outcome, champion, promoted, sentence FROM $monitoring.verdicts ORDER BY decided_at DESC LIMIT 50"
    ),
}
"""The query of each widget. ``$monitoring`` and ``$inference`` are the use case's schemas, ``$metric`` its gate's metric:
metrics with different units do not share an axis."""
ESTIMATES = ("window_start", "metric", "estimated", "realised", "error", "standard_error", "labelled", "predictions")


def _filled(query: str, use_case: UseCase, catalog: str) -> str:
    schemas = {layer.value: f"{catalog}.{use_case.name}_{layer}" for layer in (Layer.MONITORING, Layer.INFERENCE)}
    return Template(query).substitute(schemas, metric=use_case.gate.metric)


def _line(dataset: str, title: str, *, x: str, y: str, colour: str, row: int) -> Mapping[str, object]:
    encodings = {
        "x": {"fieldName": x, "scale": {"type": "temporal"}, "displayName": x},
        "y": {"fieldName": y, "scale": {"type": "quantitative"}, "displayName": y},
        "color": {"fieldName": colour, "scale": {"type": "categorical"}, "displayName": colour},
    }
    spec = {"version": 3, "widgetType": "line", "encodings": encodings, "frame": {"title": title, "showTitle": True}}
    return _widget(dataset, (x, y, colour), spec, row)


def _table(dataset: str, title: str, columns: Sequence[str], *, row: int) -> Mapping[str, object]:
    encodings = {"columns": [{"fieldName": column, "displayName": column} for column in columns]}
    spec = {"version": 1, "widgetType": "table", "encodings": encodings, "frame": {"title": title, "showTitle": True}}
    return _widget(dataset, columns, spec, row)


def _widget(dataset: str, columns: Sequence[str], spec: Mapping[str, object], row: int) -> Mapping[str, object]:
    fields = [{"name": column, "expression": f"`{column}`"} for column in columns]
    query = {"datasetName": dataset, "fields": fields, "disaggregated": True}
    return {
        "position": {"x": 0, "y": row, "width": COLUMNS_OF_PAGE, "height": 6},
        "widget": {"name": dataset, "queries": [{"name": "main_query", "query": query}], "spec": spec},
    }
