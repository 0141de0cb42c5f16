"""Point the endpoint at the champion; the last task of every job that may move it.

Terraform creates the endpoint empty. A file next to the wheel, written at deployment, says which endpoint, how large, and
how the gateway is set; only the champion's version is added here. Local engines have no endpoints; there the task says so.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.execution.context import Context, TaskResult
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.scoring.served import VERSION

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

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

    with context.lakehouse.models.verified(champion):
        apply_declaration(WorkspaceClient(), json.loads(path.read_text(encoding="utf-8")), champion.number)
    context.say(f"version {champion.number} is served")
    return TaskResult(values={"served": str(champion.number)})


def apply_declaration(client: "WorkspaceClient", declaration: Mapping[str, Any], version: int) -> None:
    """Give the endpoint the version and the gateway's settings; applying the same again changes nothing.

    Parameters
    ----------
    client
        Of the workspace that has the endpoint.
    declaration
        ``endpoint``, ``served_entity`` and ``ai_gateway``, as `infra.constructs.use_case.serving` writes them.
    version
        The version of the model to serve.
    """
    from databricks.sdk.service.serving import AiGatewayConfig, ServedEntityInput

    endpoint = declaration["endpoint"]
    entity = {**declaration["served_entity"], "entity_version": str(version)}
    # The files of a version were written before it had a number; its answers return it.
    entity["environment_vars"] = {**entity.get("environment_vars", {}), VERSION: str(version)}
    served = ServedEntityInput.from_dict(entity)
    current = client.serving_endpoints.get(endpoint)
    now = [entity.entity_version for entity in (current.config.served_entities or [])] if current.config else []
    if now != [str(version)]:
        client.serving_endpoints.update_config_and_wait(endpoint, served_entities=[served])
    gateway = AiGatewayConfig.from_dict(declaration["ai_gateway"])
    client.serving_endpoints.put_ai_gateway(
        endpoint,
        inference_table_config=gateway.inference_table_config,
        rate_limits=gateway.rate_limits,
        usage_tracking_config=gateway.usage_tracking_config,
    )
