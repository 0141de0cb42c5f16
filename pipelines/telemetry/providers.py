"""Telemetry that is switched on: OpenTelemetry's providers, never the process-wide ones, and what is sent within which time.

Nothing here fails a run, and a run waits for telemetry no longer than the limits below: exporters work in threads that do not
keep the process alive.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter
from opentelemetry.metrics import _Gauge as Gauge
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from pipelines.telemetry.attributes import Attribute, allowed
from pipelines.telemetry.events import Event
from pipelines.telemetry.exporters import SignalExporters, exporters_for
from pipelines.telemetry.identity import RunIdentity, as_text
from pipelines.telemetry.instruments import INSTRUMENTS, Instrument, InstrumentKind
from pipelines.telemetry.recording import Attributes, facts_of

SCOPE = "mlops"
FLUSH_SECONDS = 1.0
"""How long a run waits for a flush after a task, at most; after one that took longer it waits only at the end."""
END_SECONDS = 2.0
"""How long it waits for the flush at its end, at most: an interrupted program has to end within five seconds."""
RUN_SECONDS = 5.0
"""How long a run waits for flushes in all, at most."""
LOGGERS = ("opentelemetry", "azure")

_next_ids: ContextVar[RunIdentity | None] = ContextVar("next_ids", default=None)


class _Ids(RandomIdGenerator):
    """Random ids, and those of a run for the span of its job."""

    def generate_trace_id(self) -> int:
        given = _next_ids.get()
        return given.trace_id if given else super().generate_trace_id()

    def generate_span_id(self) -> int:
        given = _next_ids.get()
        return given.span_id if given else super().generate_span_id()


class _Span:
    """A span in progress; see `pipelines.telemetry.recording.Noted`."""

    def __init__(self, own: trace.Span) -> None:
        self._own = own

    def set(self, attribute: Attribute, value: object) -> None:
        if attribute.accepts(value):
            self._own.set_attribute(attribute.name, value)  # type: ignore[arg-type]  # accepts has looked

    def failed(self, error: BaseException) -> None:
        self._own.set_attributes(allowed(facts_of(error)))
        self._own.set_status(trace.StatusCode.ERROR)


class OpenTelemetry:
    """Telemetry of one environment; see `pipelines.telemetry.recording.Telemetry`."""

    def __init__(self, resource: Attributes, receivers: list[SignalExporters]) -> None:
        described = Resource(allowed(dict(resource)))
        for name in LOGGERS:  # they would print between the lines of a job, and may say what was not sent
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [logging.NullHandler()], False
        self._failures = 0
        self._spans = TracerProvider(resource=described, shutdown_on_exit=False, id_generator=_Ids())
        self._logs = LoggerProvider(resource=described, shutdown_on_exit=False)
        for exporter in (part for one in receivers for part in (one.spans, one.metrics, one.logs) if part):
            self._watch(exporter)
        readers = [PeriodicExportingMetricReader(one.metrics) for one in receivers if one.metrics]
        self._metrics = MeterProvider(readers, resource=described, shutdown_on_exit=False)
        for receiver in receivers:
            self._spans.add_span_processor(BatchSpanProcessor(receiver.spans))
            if receiver.logs:
                self._logs.add_log_record_processor(BatchLogRecordProcessor(receiver.logs))
        self._tracer, self._logger = self._spans.get_tracer(SCOPE), self._logs.get_logger(SCOPE)
        meter = self._metrics.get_meter(SCOPE)
        self._instruments = {one: _instrument(meter, one) for one in INSTRUMENTS}
        self._traces: list[str] = []
        self._flushing: threading.Thread | None = None
        self._left, self._hangs = RUN_SECONDS, False

    @property
    def trace_id(self) -> str | None:
        """The id of the trace of the run in progress."""
        return self._traces[-1] if self._traces else None

    @contextmanager
    def span(self, name: str, attributes: Attributes, *, parent: Mapping[str, str] | None = None) -> Iterator[_Span]:
        """Begin a span that ends with its block."""
        context = None
        if parent is not None:
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # no job needs it

            context = TraceContextTextMapPropagator().extract(parent)
        with self._begun(name, attributes, context) as begun:
            yield begun

    @contextmanager
    def run(self, name: str, attributes: Attributes, identity: RunIdentity, *, first: bool) -> Iterator[_Span]:
        """Give the span of a run, and send what waits at its end.

        Parameters
        ----------
        identity
            Of the run's trace.
        first
            Whether this is the span of the job itself; else it is a part that lies below that one.
        """
        self._left, self._hangs, self._failures = RUN_SECONDS, False, 0
        self._traces.append(as_text(identity.trace_id))
        above = trace.NonRecordingSpan(
            trace.SpanContext(identity.trace_id, identity.span_id, is_remote=True, trace_flags=trace.TraceFlags(1))
        )
        try:
            with self._begun(
                name, attributes, Context() if first else trace.set_span_in_context(above, Context()),
                identity=identity if first else None,
            ) as begun:  # fmt: skip
                yield begun
        finally:
            self._traces.pop()
            self.flush(at_end=True)

    @contextmanager
    def _begun(
        self, name: str, attributes: Attributes, context: Context | None, *, identity: RunIdentity | None = None
    ) -> Iterator[_Span]:
        token = _next_ids.set(identity)
        own = self._tracer.start_span(
            name, context, attributes=allowed(dict(attributes)), record_exception=False, set_status_on_exception=False
        )
        _next_ids.reset(token)
        begun = _Span(own)
        with trace.use_span(own, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield begun
            except BaseException as error:
                begun.failed(error)
                raise

    def measure(self, instrument: Instrument, value: float, attributes: Attributes) -> None:
        """Add a measurement, split as declared."""
        split = allowed({one: attributes.get(one) for one in instrument.split_by})
        own = self._instruments[instrument]
        if isinstance(own, Counter):
            own.add(value, split)
        elif isinstance(own, Histogram):
            own.record(value, split)
        else:
            own.set(value, split)

    def event(self, event: Event, attributes: Attributes) -> None:
        """Emit an event within the span in progress."""
        severity = SeverityNumber(int(event.severity))
        self._logger.emit(
            LogRecord(
                timestamp=time.time_ns(), severity_number=severity, severity_text=event.severity.name, body=event.sentence,
                attributes=allowed(dict(attributes)), event_name=event.name,
            )
        )  # fmt: skip

    def flush(self, *, at_end: bool = False) -> None:
        """Send what waits, and wait for that as long as a run may."""
        if self._flushing is None or not self._flushing.is_alive():
            self._flushing = threading.Thread(target=self._send, name="telemetry", daemon=True)
            self._flushing.start()
        begun = time.monotonic()
        most = END_SECONDS if at_end else 0.0 if self._hangs else FLUSH_SECONDS
        self._flushing.join(min(most, self._left))
        self._left = max(0.0, self._left - (time.monotonic() - begun))
        self._hangs = self._flushing.is_alive()

    @property
    def complaint(self) -> str | None:
        """What a person should know of the telemetry itself; None if everything was sent in time."""
        if self._flushing is not None and self._flushing.is_alive():
            return f"the receiver did not take it within {END_SECONDS:.0f} seconds, and nobody waits any longer"
        return f"{self._failures} attempts to send it have failed" if self._failures else None

    def _watch(self, exporter: SpanExporter | MetricExporter | LogRecordExporter) -> None:
        """Count what an exporter could not send."""
        send: Callable[..., Enum] = exporter.export

        def export(*given: Any, **options: Any) -> Enum:
            try:
                result = send(*given, **options)
            except BaseException:
                self._failures += 1
                raise
            self._failures += result.name != "SUCCESS"
            return result

        exporter.export = export  # type: ignore[method-assign,assignment]  # of this one object

    def _send(self) -> None:
        for provider in (self._spans, self._logs, self._metrics):
            with suppress(Exception):  # whatever a receiver does, no run sees it
                provider.force_flush()


def _instrument(meter: Meter, one: Instrument) -> Counter | Gauge | Histogram:
    if one.kind is InstrumentKind.COUNTER:
        return meter.create_counter(one.name, one.unit, one.meaning)
    if one.kind is InstrumentKind.GAUGE:
        return meter.create_gauge(one.name, one.unit, one.meaning)
    return meter.create_histogram(one.name, one.unit, one.meaning, explicit_bucket_boundaries_advisory=list(one.bounds))


_OPENED: dict[tuple[object, ...], OpenTelemetry] = {}


def telemetry_of(asked: tuple[str, ...], resource: Attributes, folder: Path | None) -> OpenTelemetry:
    """Return the telemetry of an environment, the same one as long as the process and its settings last.

    Raises
    ------
    NotPossibleError
        If an exporter lacks something here.
    """
    settings = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(("OTEL_", "APPLICATIONINSIGHTS_"))))
    key = (asked, tuple(resource.values()), folder, settings)
    if key not in _OPENED:
        _OPENED[key] = OpenTelemetry(resource, [exporters_for(name, folder) for name in asked])
    return _OPENED[key]
