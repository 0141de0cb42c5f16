"""What serves a use case online, as a declaration that a task applies when there is a champion to serve.

An endpoint needs a model version, and an environment that was just created has none. So Terraform creates the
endpoint empty, with its name, tags and permissions, at the first deployment. It also writes the declaration made here
into the environment's volume. The training job's last task reads it: it gives the endpoint the champion's version and
the gateway's settings, each time the champion changes. Terraform leaves both alone afterwards.

A data source on the model's alias, the alternative, fails the first deployment: there is no alias yet.
"""

from collections.abc import Mapping

from databricks.sdk.service import serving

from infra.config.model import Serving
from pipelines.declarations.asset import Layer
from pipelines.declarations.use_case import UseCase

ALIAS = "champion"
SERVED_ENTITY = "champion"


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
