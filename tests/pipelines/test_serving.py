"""The endpoint that Terraform created empty serves the champion: the real SDK against a workspace on loopback."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import serving as sdk

from infra.serving import serving_declaration
from infra.settings_model import Serving
from pipelines.declarations.registry import use_case
from pipelines.tasks.serving import apply_declaration

FLIGHT_DELAY = use_case("flight_delay")
DECLARATION = serving_declaration(
    FLIGHT_DELAY, catalog="prod", endpoint="prod-flight-delay",
    stated=Serving(workload_size="Small", scale_to_zero=True, calls_per_minute=600),
)  # fmt: skip


class Workspace(ThreadingHTTPServer):
    """Answers as the serving API does, in the shapes of the SDK's own dataclasses, and remembers what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.config: dict[str, object] | None = None
        self.gateway: dict[str, object] | None = None
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def endpoint(self):
        """The endpoint as the API tells it."""
        config = sdk.EndpointCoreConfigOutput.from_dict(self.config) if self.config else None
        state = sdk.EndpointState(
            config_update=sdk.EndpointStateConfigUpdate.NOT_UPDATING, ready=sdk.EndpointStateReady.READY
        )
        return sdk.ServingEndpointDetailed(name="prod-flight-delay", config=config, state=state).as_dict()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def log_message(self, *_):
        """Keep the test's output."""

    def do_GET(self):
        """Tell the endpoint, or that there is none."""
        self.server.asked.append(f"GET {self.path}")
        if self.path.endswith("/prod-flight-delay"):
            return self._answer(200, self.server.endpoint())
        return self._answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such endpoint"})

    def do_PUT(self):
        """Take a configuration or the gateway's settings."""
        self.server.asked.append(f"PUT {self.path}")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/config"):
            self.server.config = body
            return self._answer(200, self.server.endpoint())
        self.server.gateway = body
        return self._answer(200, body)

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def workspace():
    """A workspace with an endpoint that serves nothing yet."""
    server = Workspace()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(workspace):
    """The real SDK, talking to it."""
    return WorkspaceClient(host=f"http://127.0.0.1:{workspace.server_port}", token="of-this-test")  # noqa: S106 - no secret


def test_the_first_champion_fills_the_empty_endpoint(workspace, client):
    """Its version, the declared size, and the gateway's settings."""
    apply_declaration(client, DECLARATION, 4)
    (entity,) = workspace.config["served_entities"]
    assert entity["entity_name"] == "prod.flight_delay_models.flight_delay"
    assert entity["entity_version"] == "4"
    assert entity["workload_size"] == "Small"
    assert workspace.gateway["rate_limits"][0]["calls"] == 600
    assert workspace.gateway["inference_table_config"]["schema_name"] == "flight_delay_inference"


def test_the_next_champion_takes_its_place(workspace, client):
    """One entity, the new version."""
    apply_declaration(client, DECLARATION, 4)
    apply_declaration(client, DECLARATION, 6)
    assert [entity["entity_version"] for entity in workspace.config["served_entities"]] == ["6"]


def test_a_champion_that_is_served_already_is_left_alone(workspace, client):
    """No new configuration, no restart of the endpoint."""
    apply_declaration(client, DECLARATION, 4)
    workspace.asked.clear()
    apply_declaration(client, DECLARATION, 4)
    assert not any(asked.endswith("/config") for asked in workspace.asked)


def test_an_endpoint_that_is_not_there_is_an_error_and_nothing_is_changed(workspace, client):
    """The job fails with the platform's own words."""
    with pytest.raises(Exception, match="no such endpoint"):
        apply_declaration(client, {**DECLARATION, "endpoint": "another"}, 4)
    assert workspace.config is None
