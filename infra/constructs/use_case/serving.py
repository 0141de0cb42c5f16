"""The serving endpoint of a use case, and the declaration from which a task configures it once there is a champion.

An endpoint needs a model version, and a new environment has none. So Terraform creates an empty endpoint with its name,
tags and permissions, and writes the declaration into the environment's volume. The last task of the training job reads
it: each time the champion changes, it gives the endpoint the champion's version and the settings of the gateway.
Terraform ignores changes of both.

The alternative, a data source on the alias of the model, would fail in the first deployment, when there is no alias.
"""

import base64
import json
from collections.abc import Mapping

from databricks.sdk.service import serving
from databricks.sdk.service.iam import PermissionLevel

from infra.config.model import Serving
from infra.config.naming import ResourceKind
from infra.constructs.use_case.context import UseCaseContext
from infra.permissions.roles import Object
from pipelines.declarations.asset import Layer
from pipelines.declarations.online_store import ONLINE_STORE, store_address
from pipelines.declarations.use_case import UseCase

ALIAS = "champion"
SERVED_ENTITY = "champion"


def serving_endpoint(context: UseCaseContext) -> None:
    """Add the empty endpoint of a use case and the declaration from which the training job fills it.

    Nothing is added where the settings of the environment state no serving.
    """
    workspace, name = context.workspace, context.use_case.name
    deployment = workspace.deployment
    stated = deployment.settings.serving
    if stated is None:
        return
    endpoint_name = deployment.name(ResourceKind.ENDPOINT, name)
    endpoint = workspace.add(
        "databricks_model_serving",
        name,
        ignore_changes=("config", "ai_gateway"),
        name=endpoint_name,
        tags=[{"key": key, "value": value} for key, value in context.tags.items()],
    )
    endpoint_id = endpoint.attribute("serving_endpoint_id")
    manage = PermissionLevel.CAN_MANAGE
    context.permit(Object.ENDPOINT, "endpoint", name, jobs=manage, serving_endpoint_id=endpoint_id)
    declaration = serving_declaration(
        context.use_case, catalog=deployment.environment, endpoint=endpoint_name, stated=stated
    )
    text = json.dumps(declaration, indent=2, sort_keys=True) + "\n"
    workspace.add(
        "databricks_file",
        "serving",
        name,
        content_base64=base64.b64encode(text.encode()).decode(),
        path=f"{context.catalog.releases_path}/serving/{name}.json",
    )


def serving_declaration(use_case: UseCase, *, catalog: str, endpoint: str, stated: Serving) -> Mapping[str, object]:
    """Return everything that the task needs to serve a champion, except the version.

    Parameters
    ----------
    catalog
        The environment's catalog.
    endpoint
        Name of the endpoint that Terraform created.
    stated
        The size and the rate limit of the endpoint, and the store that a use case with ``online`` looks its features up in.
    """
    model = f"{catalog}.{use_case.model.address}"
    looks_up = use_case.online is not None and stated.online_store is not None
    entity = serving.ServedEntityInput(
        name=SERVED_ENTITY,
        entity_name=model,
        workload_size=stated.workload_size,
        scale_to_zero_enabled=stated.scale_to_zero,
        environment_vars={ONLINE_STORE: store_address(catalog)} if looks_up else None,
    )
    gateway = serving.AiGatewayConfig(
        usage_tracking_config=serving.AiGatewayUsageTrackingConfig(enabled=True),
        inference_table_config=serving.AiGatewayInferenceTableConfig(
            enabled=True,
            catalog_name=catalog,
            schema_name=f"{use_case.name}_{Layer.INFERENCE}",
            table_name_prefix="online",
        ),
        rate_limits=[
            serving.AiGatewayRateLimit(
                key=serving.AiGatewayRateLimitKey.ENDPOINT,
                calls=stated.calls_per_minute,
                renewal_period=serving.AiGatewayRateLimitRenewalPeriod.MINUTE,
            )
        ],
    )
    return {
        "endpoint": endpoint,
        "model": model,
        "alias": ALIAS,
        "served_entity": entity.as_dict(),
        "ai_gateway": gateway.as_dict(),
    }
