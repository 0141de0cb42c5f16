"""The endpoint that Terraform creates empty serves the champion: the real SDK against a workspace on loopback."""

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import serving as sdk

from infra.config.model import Serving
from infra.constructs.use_case.serving import serving_declaration
from pipelines.declarations.registry import use_case
from pipelines.tasks.serving import apply_declaration
from tests.pipelines.remote.loopback_workspace import LoopbackWorkspace

FLIGHT_DELAY = use_case("flight_delay")
DECLARATION = serving_declaration(
    FLIGHT_DELAY, catalog="prod", endpoint="prod-flight-delay",
    stated=Serving(workload_size="Small", scale_to_zero=True, calls_per_minute=600),
)  # fmt: skip


@pytest.fixture
def client(loopback: LoopbackWorkspace) -> WorkspaceClient:
    """The real SDK, connected to a workspace whose endpoint serves nothing yet."""
    state = sdk.EndpointState(
        config_update=sdk.EndpointStateConfigUpdate.NOT_UPDATING, ready=sdk.EndpointStateReady.READY
    )
    loopback.held.endpoint = sdk.ServingEndpointDetailed(name="prod-flight-delay", state=state)
    return WorkspaceClient(host=loopback.host, token="of-this-test")  # noqa: S106 - no secret


def test_the_first_champion_fills_the_empty_endpoint(loopback: LoopbackWorkspace, client: WorkspaceClient) -> None:
    """With its version, the declared size and the settings of the gateway."""
    apply_declaration(client, DECLARATION, 4)
    (entity,) = loopback.held.endpoint.config.served_entities
    assert entity.entity_name == "prod.flight_delay_models.flight_delay"
    assert entity.entity_version == "4"
    assert entity.workload_size == "Small"
    assert loopback.held.gateway["rate_limits"][0]["calls"] == 600
    assert loopback.held.gateway["inference_table_config"]["schema_name"] == "flight_delay_inference"


def test_the_next_champion_replaces_the_first(loopback: LoopbackWorkspace, client: WorkspaceClient) -> None:
    """The endpoint has one entity, of the new version."""
    apply_declaration(client, DECLARATION, 4)
    apply_declaration(client, DECLARATION, 6)
    assert [entity.entity_version for entity in loopback.held.endpoint.config.served_entities] == ["6"]


def test_a_champion_that_is_served_already_is_left_alone(loopback: LoopbackWorkspace, client: WorkspaceClient) -> None:
    """No new configuration is sent, so the endpoint does not restart."""
    apply_declaration(client, DECLARATION, 4)
    loopback.asked.clear()
    apply_declaration(client, DECLARATION, 4)
    assert not any(asked.endswith("/config") for asked in loopback.asked)


def test_an_endpoint_that_is_not_there_is_an_error_and_nothing_is_changed(
    loopback: LoopbackWorkspace, client: WorkspaceClient
) -> None:
    """The error has the platform's own words."""
    with pytest.raises(Exception, match="no such endpoint"):
        apply_declaration(client, {**DECLARATION, "endpoint": "another"}, 4)
    assert loopback.held.endpoint.config is None
