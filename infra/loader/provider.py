"""The generic provider, with objects behind the types that the loader knows."""

from collections.abc import Mapping
from typing import Any

from tf.gen import tfplugin_pb2 as pb

from infra.loader.importing import IMPORTED, imported_state, settled
from infra.loader.kind import LoadedKind
from infra.loader.kinds import DATA, KINDS
from infra.loader.session import LoaderError, MissingObjectError, Session
from infra.offline import values
from infra.offline.provider import GenericProvider
from infra.terraform_cli.import_ids import import_rules
from ml.spec.errors import LakehouseError

Json = dict[str, Any]
OURS = (
    "The loader of this repository stands in for this provider: it creates the Databricks objects through the Databricks SDK, "
    "of Azure groups, workspaces, access connectors and Azure Monitor, and makes the values of all other resources up."
)


class LoadingProvider(GenericProvider):
    """Answers Terraform's calls for one configuration of one provider."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        super().__init__(schemas)
        self._session = Session({})

    def configure(self, request: Any) -> Any:
        """Keep whom to ask, and warn that this is the loader."""
        self._session = Session(values.decode(request.config.msgpack) or {})
        warning = pb.Diagnostic(severity=pb.Diagnostic.WARNING, summary="Loader in place of the provider", detail=OURS)
        return pb.ConfigureProvider.Response(diagnostics=[warning])

    def read(self, request: Any) -> Any:
        """Return the state with what the service says of it now; nothing for an object that is gone."""
        kind = KINDS.get(request.type_name)
        if kind is None:
            return super().read(request)
        state = values.decode(request.current_state.msgpack)
        block = self._block("resources", request.type_name)
        try:
            found = kind.read(self._session, plain(block, state))
        except MissingObjectError:
            return pb.ReadResource.Response(new_state=_dynamic(None), private=request.private)
        except (LakehouseError, OSError) as error:
            return pb.ReadResource.Response(new_state=request.current_state, diagnostics=[_error(request, error)])
        now = {**state, **_shaped(block, state, found)}
        return pb.ReadResource.Response(new_state=_dynamic(now), private=request.private)

    def import_state(self, request: Any) -> Any:
        """Return the state of an object that exists, by the id that the provider's page of the type states."""
        name, block = request.type_name, self._block("resources", request.type_name)
        try:
            state = imported_state(import_rules().get(name), KINDS.get(name), self._session, block, request.id)
        except (LakehouseError, OSError) as error:
            return pb.ImportResourceState.Response(diagnostics=[_error(request, error)])
        found = pb.ImportResourceState.ImportedResource(type_name=name, state=_dynamic(state), private=IMPORTED)
        return pb.ImportResourceState.Response(imported_resources=[found])

    def plan(self, request: Any) -> Any:
        """Return the proposed state; of what was imported, only what differs in more than what is not set."""
        response = super().plan(request)
        if request.prior_private != IMPORTED:
            return response
        before, plan = values.decode(request.prior_state.msgpack), values.decode(response.planned_state.msgpack)
        if before is None or plan is None:
            return response
        kept = _dynamic(settled(before, plan, self._block("resources", request.type_name)))
        return pb.PlanResourceChange.Response(
            planned_state=kept, planned_private=request.prior_private, legacy_type_system=True
        )

    def apply(self, request: Any) -> Any:
        """Create, change or delete the object; what the service does not decide is made up."""
        kind = KINDS.get(request.type_name)
        if kind is None:
            return super().apply(request)
        block = self._block("resources", request.type_name)
        before, plan = values.decode(request.prior_state.msgpack), values.decode(request.planned_state.msgpack)
        try:
            decided = _done(kind, self._session, block, before, plan)
        except (LakehouseError, OSError) as error:
            return pb.ApplyResourceChange.Response(new_state=request.prior_state, diagnostics=[_error(request, error)])
        if plan is None:
            return pb.ApplyResourceChange.Response(new_state=_dynamic(None))
        known = _filled(plan, decided)
        state = values.applied(block, known, resource_type=request.type_name)
        return pb.ApplyResourceChange.Response(
            new_state=_dynamic(state), private=request.planned_private,
            legacy_type_system=request.planned_private == IMPORTED,
        )  # fmt: skip

    def read_data(self, request: Any) -> Any:
        """Return what the service finds; made-up values for what it does not know."""
        find = DATA.get(request.type_name)
        if find is None:
            return super().read_data(request)
        block = self._block("data_sources", request.type_name)
        config = values.decode(request.config.msgpack)
        try:
            found = find(self._session, plain(block, config))
        except (LakehouseError, OSError) as error:
            return pb.ReadDataSource.Response(diagnostics=[_error(request, error)])
        known = {**config, **_shaped(block, config, found or {})}
        return pb.ReadDataSource.Response(state=_dynamic(values.read(block, known, data_type=request.type_name)))


def _done(kind: LoadedKind, session: Session, block: Mapping[str, Any], before: Any, plan: Any) -> Json:
    if plan is None:
        try:
            kind.delete(session, plain(block, before))
        except MissingObjectError:
            return {}  # somebody has deleted it meanwhile
        return {}
    if before is None or kind.change is None:
        return kind.create(session, plain(block, plan))
    return kind.change(session, plain(block, before), plain(block, plan))


def _filled(plan: Any, decided: Any) -> Any:
    """Return a plan with what the service has decided in place of what is unknown, within blocks too."""
    if plan == values.UNKNOWN:
        return decided
    if isinstance(plan, dict) and isinstance(decided, dict):
        return {name: _filled(value, decided[name]) if name in decided else value for name, value in plan.items()}
    if isinstance(plan, list) and isinstance(decided, list) and len(plan) == len(decided):
        return [_filled(one, other) for one, other in zip(plan, decided, strict=True)]
    return plan


def plain(block: Mapping[str, Any], value: Any) -> Json:
    """Return a state as the services write it: without what is not set, a block that stands once as an object."""
    result: Json = {}
    for name, attribute in block.get("attributes", {}).items():
        given = value.get(name)
        if given is None or given == values.UNKNOWN:
            continue
        nested = attribute.get("nested_type")
        result[name] = _nested(nested, nested["nesting_mode"], given) if nested else given
    for name, nested in block.get("block_types", {}).items():
        given = value.get(name)
        if given in (None, []) or given == values.UNKNOWN:
            continue
        found = _nested(nested["block"], nested["nesting_mode"], given)
        result[name] = found[0] if isinstance(found, list) and nested.get("max_items") == 1 else found
    return result


def _nested(block: Mapping[str, Any], nesting: str, value: Any) -> Any:
    if nesting == "single":
        return plain(block, value)
    if nesting == "map":
        return {key: plain(block, item) for key, item in value.items()}
    return [plain(block, item) for item in value]


def _shaped(block: Mapping[str, Any], state: Mapping[str, Any], found: Mapping[str, Any]) -> Json:
    """Return the attributes that the service tells in the form of a state; one that is not set stays so."""
    shown: Json = {}
    for name, value in found.items():
        nested = block.get("block_types", {}).get(name)
        if name not in state or (state[name] in (None, [], {}) and value in (None, "", [], {}, False)):
            continue
        if nested is not None:
            items = value if isinstance(value, list) else [value]
            shown[name] = [values.upgraded(nested["block"], item) for item in items]
        elif (inner := block["attributes"][name].get("nested_type")) is not None and isinstance(value, dict):
            shown[name] = values.upgraded(inner, value)
        else:
            shown[name] = value
    return shown


def _error(request: Any, error: Exception) -> Any:
    sentence = str(error) if isinstance(error, LoaderError) else f"{type(error).__name__}: {error}"
    return pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=f"{request.type_name} was refused", detail=sentence)


def _dynamic(value: Any) -> Any:
    return pb.DynamicValue(msgpack=values.encode(value))
