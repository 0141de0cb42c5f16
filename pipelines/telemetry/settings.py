"""Where telemetry goes: the environment variables that switch it on.

``MLOPS_TELEMETRY`` names one or several exporters, separated by commas. Endpoints, headers, certificates and sampling are
OpenTelemetry's own variables (https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
"""

import os
from collections.abc import Mapping

from ml.spec.errors import RequestError

SWITCH = "MLOPS_TELEMETRY"
OFF = "off"
AZURE_MONITOR = "azure_monitor"
CONNECTION = "APPLICATIONINSIGHTS_CONNECTION_STRING"
"""Azure Monitor's own variable: which Application Insights."""
EXPORTERS = {
    "file": "JSON lines of OTLP in the folder `telemetry` of the local environment",
    "otlp": "any OTLP endpoint over HTTP, which `OTEL_EXPORTER_OTLP_ENDPOINT` names",
    AZURE_MONITOR: "the Application Insights of `APPLICATIONINSIGHTS_CONNECTION_STRING`, signed in by Entra ID",
}
"""Every exporter, and where it sends to."""

CREDENTIAL = "MLOPS_TELEMETRY_CREDENTIAL"
"""On Databricks the name of the service credential of Unity Catalog with which a job signs in to Azure Monitor."""


def exporters_asked_for(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the exporters that the environment asks for; none if telemetry is off.

    Raises
    ------
    RequestError
        If it names one that does not exist.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    asked = tuple(dict.fromkeys(name for part in environment.get(SWITCH, OFF).split(",") if (name := part.strip())))
    if asked in ((), (OFF,)):
        return ()
    if unknown := [name for name in asked if name not in EXPORTERS]:
        raise RequestError(
            f"{', '.join(repr(name) for name in unknown)} is no exporter of telemetry",
            where=f"environment variable {SWITCH}",
            allowed=f"{OFF}, or one or several of {', '.join(EXPORTERS)}, separated by commas",
        )
    return asked
