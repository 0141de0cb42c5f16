"""The endpoint that Terraform creates empty serves the champion: the real SDK against a workspace on loopback."""

import dataclasses
import datetime as dt
import json
from pathlib import Path

import pandas as pd
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import serving as sdk
from sklearn.linear_model import LinearRegression

from infra.config.model import Serving
from infra.constructs.use_case.serving import serving_declaration
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_files import ModelFilesError
from pipelines.tasks.versions import serving
from pipelines.tasks.versions.serving import apply_declaration
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


def test_a_canary_is_a_second_entity_with_its_percentage_of_the_requests(
    loopback: LoopbackWorkspace, client: WorkspaceClient
) -> None:
    """It moves from stage to stage; a return or a promotion leaves one version with all requests."""
    for challenger, shares in (((6, 10), [90, 10]), ((6, 50), [50, 50])):
        apply_declaration(client, DECLARATION, 4, challenger=challenger)
        config = loopback.held.endpoint.config
        assert [(entity.name, entity.entity_version) for entity in config.served_entities] == [
            ("champion", "4"),
            ("challenger", "6"),
        ]
        assert [entity.environment_vars["MLOPS_MODEL_VERSION"] for entity in config.served_entities] == ["4", "6"]
        assert [route.served_model_name for route in config.traffic_config.routes] == ["champion", "challenger"]
        assert [route.traffic_percentage for route in config.traffic_config.routes] == shares
    loopback.asked.clear()
    apply_declaration(client, DECLARATION, 4, challenger=(6, 50))
    assert not any(asked.endswith("/config") for asked in loopback.asked)
    apply_declaration(client, DECLARATION, 4)
    config = loopback.held.endpoint.config
    assert [entity.entity_version for entity in config.served_entities] == ["4"]
    assert [route.traffic_percentage for route in config.traffic_config.routes] == [100]


def test_an_endpoint_that_is_not_there_is_an_error_and_nothing_is_changed(
    loopback: LoopbackWorkspace, client: WorkspaceClient
) -> None:
    """The error has the platform's own words."""
    with pytest.raises(Exception, match="no such endpoint"):
        apply_declaration(client, {**DECLARATION, "endpoint": "another"}, 4)
    assert loopback.held.endpoint.config is None


def test_a_champion_whose_files_were_changed_is_not_served(
    embedded_lakehouse: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint is not even asked for: no workspace is known here."""
    models, inputs = embedded_lakehouse.models, pd.DataFrame({"number": [0.0, 1.0]})
    with models.start_run("tests", name="fit") as run:
        fitted = LinearRegression().fit(inputs, inputs["number"])
        version = models.register(FLIGHT_DELAY.model, fitted, run=run, input_example=inputs, output_example=[0.0, 1.0])
    models.set_alias(version, CHAMPION)
    (tmp_path / f"{FLIGHT_DELAY.name}.json").write_text(json.dumps(DECLARATION))
    monkeypatch.setattr(serving, "DECLARATIONS", str(tmp_path))
    next((tmp_path / "dev" / "artifacts").rglob("model.pkl")).write_bytes(b"changed")
    deployed = dataclasses.replace(embedded_lakehouse, engine="databricks")
    context = Context(
        lakehouse=deployed, use_case=FLIGHT_DELAY, run_id="asked", now=dt.datetime.now(dt.UTC), say=lambda _: None
    )
    with pytest.raises(ModelFilesError, match="other files at"):
        serving.serve(context)
