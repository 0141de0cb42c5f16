"""The exporter of the jobs, as it is, sends to the Application Insights of the emulated cloud: with the role, through the private link."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied

from infra.emulated_cloud.areas.azure import monitor
from infra.emulated_cloud.areas.azure.monitor_resources import COMPONENT
from infra.emulated_cloud.areas.azure.roles import ROLES
from infra.emulated_cloud.areas.databricks.service_credentials import CONNECTOR, MADE_CREDENTIAL
from infra.emulated_cloud.calls import Attempt
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

CLOSED = monitor.AREA.rules[0].given
"""A component that is closed to the internet, linked to a scope with an endpoint in the network ``vnet``; dev publishes."""
NEVER = 2**33
ALL_KINDS = {"RemoteDependencyData", "MessageData", "MetricData"}


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


def send(cloud: Cloud, addresses: Addresses, token: str, network: str, folder: Path, run_id: str) -> list[str]:
    """Record a run that sends to the component of the cloud; return what it said."""
    proxy, said = addresses.proxy.replace("://", f"://{network}:any@" if network else "://"), list[str]()
    component = cloud.world.store("azure", "resources")[COMPONENT.lower()]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTPS_PROXY", "https_proxy"):
            patch.setenv(name, proxy)
        for name in ("NO_PROXY", "no_proxy"):
            patch.delenv(name, raising=False)
        patch.setenv("REQUESTS_CA_BUNDLE", str(addresses.authority))
        patch.setenv(CONNECTION, component["properties"]["ConnectionString"])
        patch.setenv(SWITCH, "azure_monitor")
        patch.setattr(exporters, "_entra", lambda: SignedIn(token=token))
        with traced_run(
            environment="dev", engine="embedded", folder=folder, commit=lambda: "abc", job="trips.features", run_id=run_id,
            first=True, say=said.append,
        ):  # fmt: skip
            measure(TASK_SECONDS, 2.5, {JOB: "trips.features", TASK: "ingest", STATE: "succeeded"})
    return said


def kinds(cloud: Cloud) -> set[str]:
    """Return the kinds of envelopes that the component has taken."""
    kept = cloud.world.store("azure", monitor.KEPT).get(COMPONENT.lower(), {"envelopes": []})["envelopes"]
    return {one["data"]["baseType"] for one in kept}


@pytest.mark.parametrize(
    ("who", "network", "arrives"),
    [("dev", "vnet", True), ("person", "vnet", False), ("dev", "", False)],
    ids=["the publisher in the network", "somebody without the role", "the publisher on the internet"],
)
def test_telemetry_arrives_of_who_may_publish_and_from_its_network_alone(
    who: str, network: str, arrives: bool, cloud: Cloud, addresses: Addresses, tmp_path: Path
) -> None:
    """By the connection string that Azure gives; a run whose telemetry is refused goes on and says so."""
    said = send(cloud, addresses, token_of(cloud.world, who), network, tmp_path, f"r-{who}-{network}")
    assert kinds(cloud) == (ALL_KINDS if arrives else set())
    assert bool(said) is not arrives, said


def test_a_service_credential_gives_what_a_job_publishes_with(
    cloud: Cloud, addresses: Addresses, tmp_path: Path
) -> None:
    """Who has ACCESS gets a token of the connector; it publishes with its role, and before that it may not."""
    for step in MADE_CREDENTIAL:
        assert perform(cloud, step).status < 300, step

    def used_by(who: str) -> str:
        client = WorkspaceClient(host=addresses.hosts["dev"], token=token_of(cloud.world, who), auth_type="pat")
        given = client.credentials.generate_temporary_service_credential("telemetry").azure_aad
        assert given is not None
        return str(given.aad_token)

    with pytest.raises(PermissionDenied, match="does not have ACCESS on Service Credential 'telemetry'"):
        used_by("analyst")
    assert send(cloud, addresses, used_by("dev"), "vnet", tmp_path, "without-role") != []
    assert kinds(cloud) == set()
    identity = cloud.world.store("azure", "resources")[CONNECTOR.lower()]["identity"]["principalId"]
    role = (
        f"PUT azure{COMPONENT}/providers/Microsoft.Authorization/roleAssignments/55555555-5555-4555-8555-555555555555"
    )
    definition = f"/x/{ROLES['Monitoring Metrics Publisher'].identity}"
    given = Attempt(
        who="person", request=role, body={"properties": {"principalId": identity, "roleDefinitionId": definition}}
    )
    assert perform(cloud, given).status < 300
    assert send(cloud, addresses, used_by("dev"), "vnet", tmp_path, "with-role") == []
    assert kinds(cloud) == ALL_KINDS
