"""Makes the exporters that were asked for; each library is loaded only here, and only if it is asked for."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

from ml.spec.errors import NotPossibleError
from pipelines.telemetry.settings import AZURE_MONITOR, CONNECTION, CREDENTIAL, SWITCH


@dataclass(frozen=True, kw_only=True)
class SignalExporters:
    """Where spans, metrics and events of one exporter go; None for a signal that the receiver does not take."""

    spans: SpanExporter
    metrics: MetricExporter | None = None
    logs: LogRecordExporter | None = None


def exporters_for(name: str, folder: Path | None) -> SignalExporters:
    """Return an exporter by its name in `pipelines.telemetry.settings.EXPORTERS`.

    Parameters
    ----------
    folder
        Of a local environment; None on Databricks.

    Raises
    ------
    NotPossibleError
        If it cannot be made here, with what it lacks.
    """
    try:
        return _MADE_BY[name](folder)
    except ImportError as error:
        raise NotPossibleError(
            f"the exporter {name!r} needs the package {error.name}, which is not installed",
            where=f"environment variable {SWITCH}",
            remedy="Install the packages of requirements/job.txt, or name another exporter.",
        ) from error


def _file(folder: Path | None) -> SignalExporters:
    from pipelines.telemetry.json_lines import FOLDER, FileLogs, FileMetrics, FileSpans

    if folder is None:
        raise NotPossibleError(
            "a deployed environment has no folder for the exporter 'file'",
            where=f"environment variable {SWITCH}",
            remedy="Name otlp or azure_monitor.",
        )
    own = folder / FOLDER
    return SignalExporters(spans=FileSpans(own), metrics=FileMetrics(own), logs=FileLogs(own))


def _otlp(_folder: Path | None) -> SignalExporters:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def wanted(signal: str) -> bool:
        """Whether a signal has an endpoint: one that is named for spans alone, as MLflow's, gets nothing else."""
        return any(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT" in os.environ for part in ("", f"{signal}_"))

    only_traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in os.environ
    return SignalExporters(
        spans=OTLPSpanExporter(),
        metrics=OTLPMetricExporter() if wanted("METRICS") or not only_traces else None,
        logs=OTLPLogExporter() if wanted("LOGS") or not only_traces else None,
    )


def _azure_monitor(_folder: Path | None) -> SignalExporters:
    """Return the exporters to Application Insights.

    Rows that failed to be sent are not kept on disk, and the library's telemetry about itself is off. Signing in by Entra ID:
    https://learn.microsoft.com/en-us/azure/azure-monitor/app/azure-ad-authentication
    """
    if not os.environ.get(CONNECTION):
        raise NotPossibleError(
            f"the exporter 'azure_monitor' needs the variable {CONNECTION}, which is not set",
            where=f"environment variable {SWITCH}",
            remedy="Set it to the connection string of the environment's Application Insights.",
        )
    os.environ.setdefault("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    from azure.monitor.opentelemetry.exporter import (
        AzureMonitorLogExporter,
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )

    options = {"connection_string": os.environ[CONNECTION], "credential": _entra(), "disable_offline_storage": True}
    return SignalExporters(
        spans=AzureMonitorTraceExporter(**options), metrics=AzureMonitorMetricExporter(**options),
        logs=AzureMonitorLogExporter(**options),
    )  # fmt: skip


def _entra() -> Any:
    """Return what signs in: a service credential of Unity Catalog where one is named, else what the machine is signed in as.

    https://learn.microsoft.com/en-us/azure/databricks/connect/unity-catalog/cloud-services/use-service-credentials

    Raises
    ------
    NotPossibleError
        If the runtime gives no such credential; whatever it raises, no run fails by telemetry.
    """
    if name := os.environ.get(CREDENTIAL):
        try:
            from databricks.sdk.runtime import dbutils

            return dbutils.credentials.getServiceCredentialsProvider(name)  # type: ignore[call-arg]  # the stub knows no name
        except Exception as error:
            raise NotPossibleError(
                f"the service credential {name!r} cannot be used here ({type(error).__name__})",
                where=f"environment variable {CREDENTIAL}",
                remedy="Use a runtime from 16.2 on, and grant ACCESS on the credential to who runs the job.",
            ) from error
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


_MADE_BY: Mapping[str, Callable[[Path | None], SignalExporters]] = {
    "file": _file, "otlp": _otlp, AZURE_MONITOR: _azure_monitor
}  # fmt: skip
