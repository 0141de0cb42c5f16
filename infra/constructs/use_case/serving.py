"""What serves a use case online, as a declaration that a task applies when there is a champion to serve.

An endpoint needs a model version, and an environment that was just created has none. So Terraform creates the
endpoint empty, with its name, tags and permissions, at the first deployment. It also writes the declaration made here
into the environment's volume. The training job's last task reads it: it gives the endpoint the champion's version and
the gateway's settings, each time the champion changes. Terraform leaves both alone afterwards.

A data source on the model's alias, the alternative, fails the first deployment: there is no alias yet.
"""

import base64
import json
from collections.abc import Mapping

from databricks.sdk.service import serving
from databricks.sdk.service.iam import PermissionLevel

from infra.config.model import Serving
from infra.config.naming import ResourceKind
from infra.constructs.use_case.context import UseCaseContext
from infra.permissions.access_levels import Object
from pipelines.declarations.asset import Layer
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
    """Return everything the task needs to serve a champion; the version alone is left to it.

    Parameters
    ----------
    catalog
        The environment's catalog.
    endpoint
        Name of the endpoint that Terraform created.
    stated
        How large and how busy the endpoint may be.
    """
    model = f"{catalog}.{use_case.model.address}"
    entity = serving.ServedEntityInput(
        name=SERVED_ENTITY,
        entity_name=model,
        workload_size=stated.workload_size,
        scale_to_zero_enabled=stated.scale_to_zero,
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
