"""Point the endpoint at the champion, and at the challenger of a canary; the last task of every job that may move one of them.

Terraform creates the endpoint empty. A file next to the wheel, written at deployment, says which endpoint, how large, and
how the gateway is set; only versions and their percentages are added here. Local engines have no endpoints; there the task
says so.

The service divides requests by the percentages of its routes, each request anew
(https://learn.microsoft.com/en-us/azure/databricks/machine-learning/model-serving/serve-multiple-models-to-serving-endpoint):
a key does not stick to a version there. A shadow is no route: the job of the rollout scores what the endpoint has logged.
"""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.execution.context import Context, TaskResult
from pipelines.lakehouse.registry.aliases import CHALLENGER, CHAMPION
from pipelines.lakehouse.registry.rollout_state import current_rollout
from pipelines.scoring.served import VERSION

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.serving import EndpointCoreConfigOutput

DECLARATIONS = "/Volumes/{catalog}/deployment/releases/serving"


def serve(context: Context) -> TaskResult:
    """Let the use case's endpoint serve the version with the alias champion.

    Raises
    ------
    ModelFilesError
        If the champion's files are not those that were registered; the endpoint is left alone.
    """
    champion = context.lakehouse.models.find_alias(context.use_case.model, CHAMPION)
    if champion is None:
        context.say("no champion yet: nothing to serve")
        return TaskResult(values={"served": ""})
    if context.lakehouse.engine != "databricks":
        context.say(f"version {champion.number} would be served: this engine has no endpoints")
        return TaskResult(values={"served": ""})
    folder = Path(DECLARATIONS.format(catalog=context.lakehouse.environment.catalog))
    path = folder / f"{context.use_case.name}.json"
    if not path.exists():
        context.say("this environment serves no endpoint: its settings name none")
        return TaskResult(values={"served": ""})
    from databricks.sdk import WorkspaceClient

    models, versions = context.lakehouse.models, {CHAMPION: champion}
    rollout = None if context.use_case.rollout.is_direct else current_rollout(models, context.use_case.model)
    if rollout is not None and rollout.percentage:
        versions[CHALLENGER] = models.version(context.use_case.model, rollout.version)
    with ExitStack() as verified:
        for version in versions.values():
            verified.enter_context(models.verified(version))
        apply_declaration(
            WorkspaceClient(), json.loads(path.read_text(encoding="utf-8")), champion.number,
            challenger=(rollout.version, rollout.percentage) if rollout is not None and rollout.percentage else None,
        )  # fmt: skip
    beside = f", and to {rollout.percentage}% version {rollout.version}" if CHALLENGER in versions and rollout else ""
    context.say(f"version {champion.number} is served{beside}")
    return TaskResult(values={"served": str(champion.number)})


def apply_declaration(
    client: "WorkspaceClient", declaration: Mapping[str, Any], version: int, *, challenger: tuple[int, int] | None = None
) -> None:  # fmt: skip
    """Give the endpoint the versions, their percentages and the gateway's settings; applying the same again changes nothing.

    Parameters
    ----------
    client
        Of the workspace that has the endpoint.
    declaration
        ``endpoint``, ``served_entity`` and ``ai_gateway``, as `infra.constructs.use_case.serving` writes them.
    version
        The version of the champion.
    challenger
        The version of the challenger of a canary, and the percentage of the requests that it answers; None without one.
    """
    from databricks.sdk.service.serving import AiGatewayConfig, Route, ServedEntityInput, TrafficConfig

    endpoint, shares = declaration["endpoint"], {declaration["served_entity"]["name"]: (version, 100)}
    if challenger is not None:
        number, percentage = challenger
        shares = {declaration["served_entity"]["name"]: (version, 100 - percentage), CHALLENGER: (number, percentage)}
    entities = [_entity(declaration, name, number) for name, (number, _) in shares.items()]
    routes = [Route(served_model_name=name, traffic_percentage=share) for name, (_, share) in shares.items()]
    now = client.serving_endpoints.get(endpoint).config
    if _served(now) != shares:
        client.serving_endpoints.update_config_and_wait(
            endpoint, served_entities=[ServedEntityInput.from_dict(entity) for entity in entities],
            traffic_config=TrafficConfig(routes=routes),
        )  # fmt: skip
    gateway = AiGatewayConfig.from_dict(declaration["ai_gateway"])
    client.serving_endpoints.put_ai_gateway(
        endpoint,
        inference_table_config=gateway.inference_table_config,
        rate_limits=gateway.rate_limits,
        usage_tracking_config=gateway.usage_tracking_config,
    )


def _entity(declaration: Mapping[str, Any], name: str, version: int) -> dict[str, Any]:
    """Return one version as the endpoint takes it; its files were written before it had a number, which its answers return."""
    entity = {**declaration["served_entity"], "name": name, "entity_version": str(version)}
    entity["environment_vars"] = {**entity.get("environment_vars", {}), VERSION: str(version)}
    return entity


def _served(config: "EndpointCoreConfigOutput | None") -> dict[str, tuple[int, int]]:
    """Return the version and the percentage of each name that an endpoint serves; of one without routes, all of them."""
    if config is None:
        return {}
    routes = (config.traffic_config.routes or []) if config.traffic_config else []
    shares = {route.served_model_name or route.served_entity_name: route.traffic_percentage for route in routes}
    return {
        entity.name or "": (int(entity.entity_version or 0), shares.get(entity.name, 0 if shares else 100))
        for entity in config.served_entities or []
    }
