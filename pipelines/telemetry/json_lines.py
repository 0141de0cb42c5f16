"""The exporter ``file``: OTLP as JSON, a line for each batch, in a folder of a local environment.

The form is OpenTelemetry's for files (https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/), which collectors read:
one file for each signal and day, ids as digits of base 16. Files that are older than `KEEP_DAYS` are removed.
"""

import base64
import datetime as dt
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

FOLDER = "telemetry"
KEEP_DAYS = 30
IDS = ("traceId", "spanId", "parentSpanId")


class JsonLines:
    """The files of one signal: ``<day>.traces.jsonl``, ``<day>.metrics.jsonl`` or ``<day>.logs.jsonl``."""

    def __init__(self, folder: Path, signal: str) -> None:
        self._folder, self._signal = folder, signal
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        oldest = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=KEEP_DAYS)
        for file in folder.glob(f"*.{signal}.jsonl"):
            if file.name < oldest.isoformat():
                file.unlink(missing_ok=True)  # another process may be at it

    def write(self, message: Any) -> None:
        """Append a message of OTLP in one call, so that lines of several processes do not mix."""
        line = (
            json.dumps(_with_plain_ids(MessageToDict(message, use_integers_for_enums=True)), separators=(",", ":"))
            + "\n"
        )
        file = self._folder / f"{dt.datetime.now(dt.UTC).date().isoformat()}.{self._signal}.jsonl"
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


class FileSpans(SpanExporter):
    """Writes spans."""

    def __init__(self, folder: Path) -> None:
        self._lines = JsonLines(folder, "traces")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write some spans as one line."""
        self._lines.write(encode_spans(spans))
        return SpanExportResult.SUCCESS


class FileMetrics(MetricExporter):
    """Writes metrics, as sums since the process began."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._lines = JsonLines(folder, "metrics")

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: object) -> MetricExportResult:  # noqa: ARG002 - the interface's
        """Write what was measured as one line."""
        self._lines.write(encode_metrics(metrics_data))
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - the interface's
        """Do nothing: every export is written at once."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        """Do nothing: no file is open."""


class FileLogs(LogRecordExporter):
    """Writes events."""

    def __init__(self, folder: Path) -> None:
        self._lines = JsonLines(folder, "logs")

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Write some events as one line."""
        self._lines.write(encode_logs(batch))
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 10_000) -> bool:  # noqa: ARG002 - the interface's
        """Do nothing: every export is written at once."""
        return True

    def shutdown(self) -> None:
        """Do nothing: no file is open."""


def _with_plain_ids(found: Any) -> Any:
    """Return a message with ids as OTLP's JSON has them: base 16, where protobuf's own JSON has base 64."""
    if isinstance(found, list):
        return [_with_plain_ids(one) for one in found]
    if isinstance(found, dict):
        return {k: base64.b64decode(v).hex() if k in IDS else _with_plain_ids(v) for k, v in found.items()}
    return found
