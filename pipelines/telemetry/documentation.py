"""The tables of attributes, metrics, alerts, events and exporters as Markdown: what docs/telemetry.md shows."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.telemetry.attributes import ATTRIBUTES
from pipelines.telemetry.events import EVENTS
from pipelines.telemetry.instruments import INSTRUMENTS
from pipelines.telemetry.settings import EXPORTERS

PAGE = Path("docs/telemetry.md")
BEGIN, END = "<!-- tables of the code -->", "<!-- end of the tables -->"


def tables() -> str:
    """Return all tables with their titles."""
    attributes = [(f"`{one.name}`", one.kind.value, one.unit, one.meaning) for one in ATTRIBUTES]
    metrics = [
        (f"`{one.name}`", one.kind.value, one.unit, one.meaning, ", ".join(f"`{part.name}`" for part in one.split_by))
        for one in INSTRUMENTS
    ]
    alerts = [
        (
            f"`{alert.name}`",
            f"{alert.aggregation} of `{one.name}`",
            f"{alert.above:g}",
            f"{alert.minutes} min",
            alert.severity.value,
        )
        for one in INSTRUMENTS
        for alert in one.alerts
    ]
    events = [(f"`{one.name}`", one.severity.name.lower(), one.sentence) for one in EVENTS]
    exporters = [(f"`{name}`", where) for name, where in EXPORTERS.items()]
    return "\n".join(
        (
            *_table("Exporters", ("name", "where it sends to"), exporters),
            *_table("Attributes", ("name", "kind", "unit", "meaning"), attributes),
            *_table("Metrics", ("name", "kind", "unit", "meaning", "split by"), metrics),
            *_table("Alerts", ("alert", "on", "above", "over", "urgent"), alerts),
            *_table("Events", ("name", "severity", "its whole text"), events),
        )
    )


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    return [f"## {title}", "", *(f"| {line} |" for line in lines), ""]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
