"""The exporter of the jobs, as it is, sends to the Application Insights of the emulated cloud: with the role, through the private link."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from infra.emulated_cloud.areas import azure_monitor
from infra.emulated_cloud.areas.azure_monitor_resources import COMPONENT
from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.prepared import new_cloud, token_of
from infra.emulated_cloud.server import Addresses, served
from pipelines.telemetry import exporters
from pipelines.telemetry.attributes import JOB, STATE, TASK
from pipelines.telemetry.instruments import TASK_SECONDS
from pipelines.telemetry.recording import measure
from pipelines.telemetry.run import traced_run
from pipelines.telemetry.settings import CONNECTION, SWITCH
from tests.infra.emulated_cloud.attempts import perform

CLOSED = azure_monitor.AREA.rules[0].given
"""A component that is closed to the internet, linked to a scope with an endpoint in the network ``vnet``; dev publishes."""
NEVER = 2**33


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """What a service credential is to the exporter: it gives a token."""

    token: str

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return the token of an identity of the emulated cloud."""
        return AccessToken(self.token, NEVER)


@pytest.fixture
def cloud() -> Cloud:
    """A cloud with the closed component."""
    found = new_cloud()
    for step in CLOSED:
        assert perform(found, step).status < 300, step
    return found


@pytest.fixture
def addresses(cloud: Cloud, tmp_path: Path) -> Iterator[Addresses]:
    """The cloud, served under its real host names."""
    with served(cloud, tmp_path / "cloud") as found:
        yield found


@pytest.mark.parametrize(
    ("who", "network", "arrives"),
    [("dev", "vnet", True), ("person", "vnet", False), ("dev", "", False)],
    ids=["the publisher in the network", "somebody without the role", "the publisher on the internet"],
)
def test_telemetry_arrives_of_who_may_publish_and_from_its_network_alone(
    who: str,
    network: str,
    arrives: bool,
    cloud: Cloud,
    addresses: Addresses,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the connection string that Azure gives; a run whose telemetry is refused goes on and says so."""
    proxy = addresses.proxy.replace("://", f"://{network}:any@" if network else "://")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(addresses.authority))
    component = cloud.world.store("azure", "resources")[COMPONENT.lower()]
    monkeypatch.setenv(CONNECTION, component["properties"]["ConnectionString"])
    monkeypatch.setenv(SWITCH, "azure_monitor")
    monkeypatch.setattr(exporters, "_entra", lambda: SignedIn(token=token_of(cloud.world, who)))
    said: list[str] = []
    with traced_run(
        environment="dev", engine="embedded", folder=tmp_path, commit=lambda: "abc", job="trips.features", run_id=f"r-{who}",
        first=True, say=said.append,
    ):  # fmt: skip
        measure(TASK_SECONDS, 2.5, {JOB: "trips.features", TASK: "ingest", STATE: "succeeded"})
    kept = cloud.world.store("azure", azure_monitor.KEPT).get(COMPONENT.lower(), {"envelopes": []})["envelopes"]
    kinds = {one["data"]["baseType"] for one in kept}
    assert kinds == ({"RemoteDependencyData", "MessageData", "MetricData"} if arrives else set())
    assert bool(said) is not arrives, said
