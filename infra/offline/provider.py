"""One provider for every schema: plugin protocol 6 over gRPC, a process that Terraform attaches to (`attached`).

It stores nothing and reaches no cloud. A plan marks as unknown what a real provider would decide; an apply makes values
up. It cannot do the checks of a real provider (allowed values, replacement on change, the cloud's API).
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from tf.gen import tfplugin_pb2 as pb

from infra.offline import values
from infra.offline.wire import schema_message

MAXIMUM_MESSAGE = 64 * 1024 * 1024


class GenericProvider:
    """Answers Terraform's calls for one provider from its schemas."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def get_provider_schema(self, _request: Any) -> Any:
        """Return every schema; Terraform may keep it for all aliases of the provider."""
        response = pb.GetProviderSchema.Response(
            provider=schema_message(self._schemas["provider"]),
            resource_schemas={n: schema_message(s) for n, s in self._schemas["resources"].items()},
            data_source_schemas={n: schema_message(s) for n, s in self._schemas["data_sources"].items()},
        )
        response.server_capabilities.get_provider_schema_optional = True
        return response

    def accept_provider_config(self, _request: Any) -> Any:
        """Accept the configuration: Terraform has already refused unknown, missing and mistyped arguments."""
        return pb.ValidateProviderConfig.Response()

    def accept_resource_config(self, _request: Any) -> Any:
        """Accept the configuration, for the same reason."""
        return pb.ValidateResourceConfig.Response()

    def accept_data_config(self, _request: Any) -> Any:
        """Accept the configuration, for the same reason."""
        return pb.ValidateDataResourceConfig.Response()

    def configure(self, _request: Any) -> Any:
        """Warn on every plan and apply that all values are made up."""
        warning = pb.Diagnostic(
            severity=pb.Diagnostic.WARNING,
            summary="Offline: made-up values",
            detail="This generic provider knows the schema only. Allowed values, replacement on change, quotas and "
            "permissions are not checked, and nothing is created.",
        )
        return pb.ConfigureProvider.Response(diagnostics=[warning])

    def upgrade_state(self, request: Any) -> Any:
        """Return the stored state in the shape of the current schema."""
        state = values.upgraded(self._block("resources", request.type_name), json.loads(request.raw_state.json))
        return pb.UpgradeResourceState.Response(upgraded_state=_dynamic(state))

    def read(self, request: Any) -> Any:
        """Return the state unchanged: nobody else can change a resource that does not exist."""
        return pb.ReadResource.Response(new_state=request.current_state, private=request.private)

    def plan(self, request: Any) -> Any:
        """Return the proposed state, with unknown for the values that the provider decides."""
        block = self._block("resources", request.type_name)
        state = values.planned(block, values.decode(request.proposed_new_state.msgpack))
        return pb.PlanResourceChange.Response(planned_state=_dynamic(state), planned_private=request.prior_private)

    def apply(self, request: Any) -> Any:
        """Return the planned state with made-up values; nothing for a resource that is destroyed."""
        block = self._block("resources", request.type_name)
        plan = values.decode(request.planned_state.msgpack)
        state = values.applied(block, plan, resource_type=request.type_name)
        return pb.ApplyResourceChange.Response(new_state=_dynamic(state), private=request.planned_private)

    def import_state(self, request: Any) -> Any:
        """Refuse: no object is behind a type whose values are made up."""
        refusal = pb.Diagnostic(
            severity=pb.Diagnostic.ERROR, summary=f"{request.type_name} cannot be imported offline",
            detail="This generic provider makes its values up, so there is no object that could be imported.",
        )  # fmt: skip
        return pb.ImportResourceState.Response(diagnostics=[refusal])

    def read_data(self, request: Any) -> Any:
        """Return the data source's configuration with made-up values."""
        block = self._block("data_sources", request.type_name)
        state = values.read(block, values.decode(request.config.msgpack), data_type=request.type_name)
        return pb.ReadDataSource.Response(state=_dynamic(state))

    def stop(self, _request: Any) -> Any:
        """Do nothing: no call runs in the background."""
        return pb.StopProvider.Response()

    def _block(self, kind: str, name: str) -> Mapping[str, Any]:
        block: Mapping[str, Any] = self._schemas[kind][name]["block"]
        return block


def methods(provider: GenericProvider) -> dict[str, tuple[Callable[[Any], Any], Any]]:
    """Return the protocol's methods by name: the function that answers, and the type of the request."""
    return {
        "GetProviderSchema": (provider.get_provider_schema, pb.GetProviderSchema.Request),
        "ValidateProviderConfig": (provider.accept_provider_config, pb.ValidateProviderConfig.Request),
        "ValidateResourceConfig": (provider.accept_resource_config, pb.ValidateResourceConfig.Request),
        "ValidateDataResourceConfig": (provider.accept_data_config, pb.ValidateDataResourceConfig.Request),
        "ConfigureProvider": (provider.configure, pb.ConfigureProvider.Request),
        "UpgradeResourceState": (provider.upgrade_state, pb.UpgradeResourceState.Request),
        "ReadResource": (provider.read, pb.ReadResource.Request),
        "PlanResourceChange": (provider.plan, pb.PlanResourceChange.Request),
        "ApplyResourceChange": (provider.apply, pb.ApplyResourceChange.Request),
        "ImportResourceState": (provider.import_state, pb.ImportResourceState.Request),
        "ReadDataSource": (provider.read_data, pb.ReadDataSource.Request),
        "StopProvider": (provider.stop, pb.StopProvider.Request),
    }


def serve(provider: GenericProvider) -> None:
    """Serve a provider on a socket that only this user can reach, until standard input is closed; the path is printed."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4),
        options=[
            ("grpc.max_send_message_length", MAXIMUM_MESSAGE),
            ("grpc.max_receive_message_length", MAXIMUM_MESSAGE),
        ],
    )
    handlers = handlers_of(methods(provider))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin6.Provider", handlers),))
    with tempfile.TemporaryDirectory(prefix="tf") as folder:
        socket = Path(folder) / "s"
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        sys.stdout.write(f"{socket}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.stop(grace=0).wait()


def main(arguments: Sequence[str]) -> int:
    """Serve the schemas of a file; refuse to run without one."""
    if len(arguments) != 1:
        sys.stderr.write(
            "This provider makes its values up and is started by `python -m infra plan --offline` and its like only; it "
            "does nothing by itself.\n"
        )
        return 1
    serve(GenericProvider(json.loads(Path(arguments[0]).read_text(encoding="utf-8"))))
    return 0


def _dynamic(value: Any) -> Any:
    return pb.DynamicValue(msgpack=values.encode(value))


def handlers_of(answers: Mapping[str, tuple[Callable[[Any], Any], Any]]) -> dict[str, Any]:
    """Return what gRPC calls for each method."""
    return {
        name: grpc.unary_unary_rpc_method_handler(
            lambda request, _context, answer=answer: answer(request),
            request_deserializer=message.FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )
        for name, (answer, message) in answers.items()
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
